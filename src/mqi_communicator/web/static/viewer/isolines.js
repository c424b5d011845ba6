// Lines of equal value in a plane (marching squares), joined so that they can be dashed.

// For each combination of corners above the level: pairs of edges (0 top, 1 right, 2 bottom, 3 left) that a line joins.
const CASES = [
  [], [3, 0], [0, 1], [3, 1], [1, 2], [3, 0, 1, 2], [0, 2], [3, 2],
  [2, 3], [2, 0], [0, 1, 2, 3], [2, 1], [1, 3], [1, 0], [0, 3], [],
];

// Polylines [x0, y0, x1, y1, ...] in voxels. Cells with a corner that is not a number have no line.
export const isolines = ({ width, height, values }, level) => {
  const joined = new Map();
  const join = (a, b) => {
    const known = joined.get(a);
    if (known) known.push(b); else joined.set(a, [b]);
  };
  for (let row = 0; row + 1 < height; row++) {
    for (let column = 0; column + 1 < width; column++) {
      const place = row * width + column;
      const a = values[place], b = values[place + 1], c = values[place + width + 1], d = values[place + width];
      const kind = (a >= level) + 2 * (b >= level) + 4 * (c >= level) + 8 * (d >= level);
      if (kind === 0 || kind === 15 || Number.isNaN(a + b + c + d)) continue;
      // an edge to the right of a voxel has twice its number, an edge below it one more
      const edges = [2 * place, 2 * (place + 1) + 1, 2 * (place + width), 2 * place + 1];
      const pairs = CASES[kind];
      for (let i = 0; i < pairs.length; i += 2) {
        const from = edges[pairs[i]], to = edges[pairs[i + 1]];
        join(from, to);
        join(to, from);
      }
    }
  }
  const point = (edge, line) => {
    const place = edge >> 1, other = edge & 1 ? place + width : place + 1;
    const part = (level - values[place]) / (values[other] - values[place]);
    line.push((place % width) + (edge & 1 ? 0 : part), Math.floor(place / width) + (edge & 1 ? part : 0));
  };
  const follow = (start) => {
    const line = [];
    let here = start;
    point(here, line);
    for (;;) {
      const next = joined.get(here)?.pop();
      if (next === undefined) break;
      const back = joined.get(next), index = back.indexOf(here);
      if (index >= 0) back.splice(index, 1);
      here = next;
      point(here, line);
    }
    return line;
  };
  const lines = [];
  for (const open of [true, false])
    for (const [edge, ends] of joined) {
      if (ends.length === 0 || (open && ends.length !== 1)) continue;
      lines.push(follow(edge));
    }
  return lines;
};
