// Where a plane cuts a contoured structure: lines [x0, y0, x1, y1, ...] in mm, across and down the plane.

const CONNECTED = 2.5; // slices: contours farther apart than this are not connected

// A structure of the file, slice by slice.
export const prepare = (structure) => {
  const slices = new Map();
  let at = 0;
  for (const [z, count] of structure.outlines) {
    const corners = new Float32Array(2 * count);
    for (let i = 0; i < 2 * count; i++) corners[i] = structure.points[at++] * structure.step;
    if (!slices.has(z)) slices.set(z, []);
    slices.get(z).push(corners);
  }
  const found = [...slices].map(([z, areas]) => ({ z, areas })).sort((a, b) => a.z - b.z);
  return { ...structure, slices: found };
};

// Where the line `axis` = `level` (0: x, 1: y) crosses the outlines of a slice, ascending.
const crossings = (areas, level, axis) => {
  const found = [];
  for (const corners of areas) {
    const count = corners.length / 2;
    for (let i = 0; i < count; i++) {
      const j = (i + 1) % count;
      const a = corners[2 * i + axis], b = corners[2 * j + axis];
      if ((a <= level) === (b <= level)) continue;
      const from = corners[2 * i + 1 - axis], to = corners[2 * j + 1 - axis];
      found.push(from + ((level - a) / (b - a)) * (to - from));
    }
  }
  return found.sort((a, b) => a - b);
};

const axial = (structure, z) => {
  const half = structure.thickness / 2 + 1e-3;
  let best = null;
  for (const slice of structure.slices)
    if (Math.abs(slice.z - z) <= half && (!best || Math.abs(slice.z - z) < Math.abs(best.z - z))) best = slice;
  return best ? best.areas.map((corners) => [...corners, corners[0], corners[1]]) : [];
};

// Each slice is as high as half the way to its neighbours. Between two slices a line is drawn where only one is inside.
const upright = (structure, axis, mm) => {
  const rows = structure.slices.map(({ z, areas }) => ({ z, edges: crossings(areas, mm, axis) }));
  const lines = [], { thickness } = structure;
  const level = (edges, z) => { for (let i = 0; i + 1 < edges.length; i += 2) lines.push([edges[i], z, edges[i + 1], z]); };
  rows.forEach((row, i) => {
    const before = rows[i - 1], after = rows[i + 1];
    const connected = (other) => other && Math.abs(other.z - row.z) <= CONNECTED * thickness;
    const low = connected(before) ? (before.z + row.z) / 2 : row.z - thickness / 2;
    const high = connected(after) ? (after.z + row.z) / 2 : row.z + thickness / 2;
    for (const edge of row.edges) lines.push([edge, low, edge, high]);
    if (!connected(before)) level(row.edges, low);
    level(connected(after) ? [...row.edges, ...after.edges].sort((a, b) => a - b) : row.edges, high);
  });
  return lines;
};

export const outlines = (structure, plane, mm) =>
  plane.normal === 2 ? axial(structure, mm) : upright(structure, plane.normal, mm);

// A point inside the middle slice of a structure.
export const inside = (structure) => {
  const { z, areas } = structure.slices[Math.floor(structure.slices.length / 2)];
  const largest = areas.reduce((a, b) => (b.length > a.length ? b : a));
  let low = Infinity, high = -Infinity;
  for (let i = 1; i < largest.length; i += 2) { low = Math.min(low, largest[i]); high = Math.max(high, largest[i]); }
  const y = (low + high) / 2, edges = crossings(areas, y, 1);
  let best = [largest[0], largest[0]];
  for (let i = 0; i + 1 < edges.length; i += 2)
    if (edges[i + 1] - edges[i] > best[1] - best[0]) best = [edges[i], edges[i + 1]];
  return [(best[0] + best[1]) / 2, y, z];
};
