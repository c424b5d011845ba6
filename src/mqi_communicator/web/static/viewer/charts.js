// Both doses along a line, and the histogram of gamma, as SVG.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300, HEIGHT = 150, LEFT = 34, RIGHT = 8, TOP = 8, BOTTOM = 22, POINTS = 240;

const shape = (tag, fields, text = "") => {
  const made = document.createElementNS(SVG, tag);
  Object.entries(fields).forEach(([name, value]) => made.setAttribute(name, value));
  made.textContent = text;
  return made;
};

// About `count` round numbers up to `top`.
const ticks = (top, count) => {
  const rough = top / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((by) => by * power).find((one) => one >= rough);
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, i) => i * step);
};

const axes = (chart, width, height, labels) => {
  const x = (value) => LEFT + (value / width) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value / height) * (HEIGHT - TOP - BOTTOM);
  chart.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  const text = (words, fields) => shape("text", fields, words);
  chart.replaceChildren(
    ...ticks(width, 5).map((value) => text(String(Number(value.toFixed(2))), { x: x(value), y: HEIGHT - BOTTOM + 12, "text-anchor": "middle" })),
    ...ticks(height, 4).flatMap((value) => [
      shape("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "grid" }),
      text(String(Number(value.toPrecision(3))), { x: LEFT - 4, y: y(value) + 3, "text-anchor": "end" }),
    ]),
    text(labels[0], { x: WIDTH - RIGHT, y: HEIGHT - 1, "text-anchor": "end" }),
    text(labels[1], { x: LEFT + 4, y: TOP + 6 }),
  );
  return { x, y };
};

// The doses along a line: distances from its beginning in mm, and values in Gy.
export const along = (view, { from, to }) => {
  const length = Math.hypot(...from.map((mm, axis) => to[axis] - mm));
  return Array.from({ length: POINTS + 1 }, (_, i) => {
    const part = i / POINTS, point = from.map((mm, axis) => mm + part * (to[axis] - mm));
    return { mm: part * length, ...view.values(point) };
  });
};

export const drawProfile = (chart, view, unit) => {
  const rows = along(view, view.profile), length = rows[POINTS].mm;
  const known = rows.flatMap(({ planned, computed }) => [planned, computed]).filter(Number.isFinite);
  const top = 1.05 * Math.max(...known, view.reference / 100);
  const { x, y } = axes(chart, Math.max(length, 1), top, ["mm", unit]);
  for (const name of ["planned", "computed"]) {
    let path = "", drawn = false;
    for (const row of rows) {
      const finite = Number.isFinite(row[name]);
      if (finite) path += `${drawn ? "L" : "M"}${x(row.mm).toFixed(1)} ${y(row[name]).toFixed(1)}`;
      drawn = finite;
    }
    chart.append(shape("path", { d: path, class: name }));
  }
  const off = rows.filter((row) => Number.isFinite(row.difference));
  const most = off.reduce((best, row) => (Math.abs(row.difference) > Math.abs(best.difference) ? row : best), off[0]);
  return { length, most };
};

// How often gamma has which value; the last bar holds all above.
export const drawHistogram = (chart, gamma) => {
  const bars = new Array(21).fill(0);
  for (const value of gamma.values)
    if (value !== gamma.missing) bars[Math.min(20, Math.floor(value * gamma.scale * 10 + 1e-6))] += 1;
  const top = 1.05 * Math.max(1, ...bars), { x, y } = axes(chart, 2.1, top, ["gamma", "points"]);
  bars.forEach((count, i) => {
    const left = x(i / 10), fields = { x: left + 0.5, width: x((i + 1) / 10) - left - 1, y: y(count), height: y(0) - y(count) };
    chart.append(shape("rect", { ...fields, class: i < 10 ? "passes" : "fails" }));
  });
};
