// The volumes of a case: reading the file, and values at points of the patient (x, y, z in mm; to L, P, H).

const MARK = "MQIVIEW1";
const TYPES = { int16: Int16Array, uint16: Uint16Array, uint8: Uint8Array };

export const PLANES = {
  axial: { name: "axial", normal: 2, across: 0, down: 1, flipped: false },
  coronal: { name: "coronal", normal: 1, across: 0, down: 2, flipped: true },
  sagittal: { name: "sagittal", normal: 0, across: 1, down: 2, flipped: true },
};

// Voxel centres at origin + index * spacing, along x, y and z.
export class Grid {
  constructor({ shape, origin, spacing }) {
    this.size = [shape[2], shape[1], shape[0]];
    this.origin = origin;
    this.spacing = spacing;
    this.stride = [1, this.size[0], this.size[0] * this.size[1]];
  }

  index(axis, mm) { return (mm - this.origin[axis]) / this.spacing[axis]; }
  mm(axis, index) { return this.origin[axis] + index * this.spacing[axis]; }
  low(axis) { return this.mm(axis, -0.5); }
  high(axis) { return this.mm(axis, this.size[axis] - 0.5); }
  nearest(axis, mm) { return Math.min(this.size[axis] - 1, Math.max(0, Math.round(this.index(axis, mm)))); }
}

const SNAP = 1e-4; // of a voxel: a point this near to a voxel's centre is on it

// The two indices that a position is between, and the weight of the second; null outside of the grid.
const between = (grid, axis, mm) => {
  let at = grid.index(axis, mm);
  if (Math.abs(at - Math.round(at)) < SNAP) at = Math.round(at);
  if (at < 0 || at > grid.size[axis] - 1) return null;
  const low = Math.min(Math.floor(at), Math.max(0, grid.size[axis] - 2));
  return [low, Math.min(low + 1, grid.size[axis] - 1), at - low];
};

export class Volume {
  constructor(grid, values, scale, missing) {
    Object.assign(this, { grid, values, scale, missing });
  }

  // Linear between voxels; NaN outside, and next to a voxel without a value.
  value(point) {
    const cells = [0, 1, 2].map((axis) => between(this.grid, axis, point[axis]));
    if (cells.includes(null)) return NaN;
    let sum = 0;
    for (let corner = 0; corner < 8; corner++) {
      let weight = 1, place = 0;
      for (let axis = 0; axis < 3; axis++) {
        const second = (corner >> axis) & 1;
        weight *= second ? cells[axis][2] : 1 - cells[axis][2];
        place += cells[axis][second] * this.grid.stride[axis];
      }
      if (weight === 0) continue;
      const found = this.values[place];
      if (found === this.missing) return NaN;
      sum += weight * found;
    }
    return sum * this.scale;
  }

  // The value of the nearest voxel; NaN outside.
  nearest(point) {
    let place = 0;
    for (let axis = 0; axis < 3; axis++) {
      const at = Math.round(this.grid.index(axis, point[axis]));
      if (at < 0 || at >= this.grid.size[axis]) return NaN;
      place += at * this.grid.stride[axis];
    }
    const found = this.values[place];
    return found === this.missing ? NaN : found * this.scale;
  }

  // The values of a plane, row by row: { width, height, values }; null outside. Linear between slices, or the nearest.
  plane(plane, mm, { linear = true } = {}) {
    const { grid } = this, { normal, across, down } = plane;
    const width = grid.size[across], height = grid.size[down];
    let cell = between(grid, normal, mm);
    if (!linear || !cell) {
      const at = Math.round(grid.index(normal, mm));
      if (linear || at < 0 || at >= grid.size[normal]) return null;
      cell = [at, at, 0];
    }
    const made = new Float32Array(width * height), { values, missing, scale } = this;
    const first = cell[0] * grid.stride[normal], second = cell[1] * grid.stride[normal], weight = cell[2];
    let out = 0;
    for (let row = 0; row < height; row++) {
      let place = row * grid.stride[down];
      for (let column = 0; column < width; column++, place += grid.stride[across]) {
        const a = values[first + place], b = weight ? values[second + place] : a;
        made[out++] = (weight < 1 && a === missing) || (weight > 0 && b === missing)
          ? NaN : (a + weight * (b - a)) * scale;
      }
    }
    return { width, height, values: made };
  }
}

// The file as volumes and facts. An Error if it is not the file of this case.
export const read = (buffer, key) => {
  const mark = new TextDecoder().decode(new Uint8Array(buffer, 0, 8));
  if (mark !== MARK) throw new Error("The server sent something else than volumes.");
  const length = Number(new DataView(buffer).getBigUint64(8, true));
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 16, length)));
  if (facts.format !== 1) throw new Error("These volumes have a newer format. Reload the page.");
  if (facts.case !== key) throw new Error(`These volumes are of case ${facts.case}, not of ${key}. They are not shown.`);
  const array = (place) => {
    const count = place.shape.reduce((a, b) => a * b, 1);
    return new TYPES[place.type](buffer, 16 + length + place.at, count);
  };
  const { ct, dose } = facts, grid = new Grid(dose.grid);
  const volume = (place, scale, missing) => place && new Volume(grid, array(place), scale, missing);
  return {
    facts,
    ct: new Volume(new Grid(ct.grid), array(ct.hu), 1, NaN),
    planned: volume(dose.planned, dose.step_gy, dose.missing),
    computed: volume(dose.computed, dose.step_gy, dose.missing),
    gamma: volume(dose.gamma, dose.gamma_step, dose.no_gamma),
    structures: facts.structures.map((one) => ({ ...one, points: array(one.corners) })),
  };
};

// The letters at left, right, top and bottom of a plane, from the directions of the patient's axes.
export const letters = (axes, plane) => {
  const opposite = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };
  const right = axes[plane.across], down = plane.flipped ? opposite[axes[plane.down]] : axes[plane.down];
  return { left: opposite[right], right, top: opposite[down], bottom: down };
};
