// Colours of the dose, of its difference and of gamma: 256 entries of red, green, blue and opacity.

const table = (colour) => {
  const made = new Uint8ClampedArray(1024);
  for (let i = 0; i < 256; i++) made.set(colour(i / 255).map((part) => 255 * part), 4 * i);
  return made;
};

// Turbo (A. Mikhailov), by its polynomial.
const turbo = (x) => [
  0.13572138 + x * (4.6153926 + x * (-42.66032258 + x * (132.13108234 + x * (-152.94239396 + x * 59.28637943)))),
  0.09140261 + x * (2.19418839 + x * (4.84296658 + x * (-14.18503333 + x * (4.27729857 + x * 2.82956604)))),
  0.1066733 + x * (12.64194608 + x * (-60.58204836 + x * (110.36276771 + x * (-89.90310912 + x * 27.34824973)))),
  1,
];

// Blue where the computed dose is lower, red where it is higher, clear where the doses agree.
const difference = (x) => {
  const part = 2 * x - 1, size = Math.abs(part), pale = 0.75 * (1 - size), clear = Math.min(1, 1.6 * size);
  return part < 0 ? [pale, pale, 1, clear] : [1, pale, pale, clear];
};

// Blue up to 1, red above, as in the report.
const gamma = (x) => {
  const value = 2 * x;
  if (value <= 1) return [0.45 - 0.3 * value, 0.75 - 0.35 * value, 1, 0.35 + 0.45 * value];
  return [1 - 0.25 * (value - 1), 0.5 * (2 - value), 0.1 * (2 - value), 1];
};

export const COLOURS = { dose: table(turbo), difference: table(difference), gamma: table(gamma) };

const LINES = ["#ffffff", "#ff4d4d", "#ffa31a", "#ffe94d", "#5ee65e", "#40d9d9", "#6f9bff", "#d98cff"];
export const lineColour = (index) => LINES[index % LINES.length];

const OUTLINES = ["#ff66cc", "#66ff99", "#ffcc33", "#66ccff", "#ff9966", "#cc99ff", "#99ff33", "#ff6666"];
export const outlineColour = (colour, index) =>
  colour ? `rgb(${colour.map((part) => Math.max(part, 40)).join(" ")})` : OUTLINES[index % OUTLINES.length];
