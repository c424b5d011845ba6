// A plane of values as colours, at the resolution of the screen.

// For each pixel along one side of the screen: the two voxels around it and the weight of the second; -1 outside.
const along = (grid, axis, count, toMm, nearest) => {
  const low = new Int32Array(count), weight = new Float32Array(count), last = grid.size[axis] - 1;
  for (let pixel = 0; pixel < count; pixel++) {
    const at = grid.index(axis, toMm(pixel + 0.5));
    if (at < -0.5 || at > last + 0.5) { low[pixel] = -1; continue; }
    const inside = Math.min(last, Math.max(0, nearest ? Math.round(at) : at));
    low[pixel] = Math.min(Math.floor(inside), Math.max(0, last - 1));
    weight[pixel] = inside - low[pixel];
  }
  return { low, weight };
};

// An image of `size` pixels. `paint`: colours for values from `low` to `high`; nothing below `from`, or without a value.
export const wash = (image, found, grid, plane, screen, paint) => {
  const { width, height } = image, pixels = image.data, { values } = found;
  const columns = along(grid, plane.across, width, (x) => screen.across(x), paint.nearest);
  const rows = along(grid, plane.down, height, (y) => screen.down(y), paint.nearest);
  const { colours, low, high, from, opacity } = paint, factor = 255 / (high - low);
  const right = found.width > 1 ? 1 : 0, below = found.height > 1 ? found.width : 0;
  let out = 0;
  for (let y = 0; y < height; y++) {
    const row = rows.low[y] * found.width, wy = rows.weight[y];
    for (let x = 0; x < width; x++, out += 4) {
      if (rows.low[y] < 0 || columns.low[x] < 0) continue;
      const place = row + columns.low[x], wx = columns.weight[x];
      let value = 0;
      if (wx < 1 && wy < 1) value += (1 - wx) * (1 - wy) * values[place];
      if (wx > 0 && wy < 1) value += wx * (1 - wy) * values[place + right];
      if (wx < 1 && wy > 0) value += (1 - wx) * wy * values[place + below];
      if (wx > 0 && wy > 0) value += wx * wy * values[place + below + right];
      if (!(value >= from)) continue;
      const entry = 4 * Math.max(0, Math.min(255, Math.round((value - low) * factor)));
      pixels[out] = colours[entry];
      pixels[out + 1] = colours[entry + 1];
      pixels[out + 2] = colours[entry + 2];
      pixels[out + 3] = colours[entry + 3] * opacity;
    }
  }
  return image;
};

// A slice of the CT in grey, one pixel for a voxel.
export const grey = (image, { values }, centre, width) => {
  const pixels = image.data, low = centre - width / 2, factor = 255 / width;
  for (let place = 0, out = 0; place < values.length; place++, out += 4) {
    const level = (values[place] - low) * factor;
    pixels[out] = pixels[out + 1] = pixels[out + 2] = level;
    pixels[out + 3] = 255;
  }
  return image;
};
