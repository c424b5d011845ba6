// One plane on a canvas: CT, colours, isodose lines, outlines, crosshair and letters; mouse, wheel and keys.

import { COLOURS, lineColour, outlineColour } from "./colours.js";
import { isolines } from "./isolines.js";
import { outlines } from "./outlines.js";
import { letters } from "./volume.js";
import { grey, wash } from "./wash.js";

const WHEEL = 40; // pixels of a wheel for one slice
const NAMES = ["x", "y", "z"];

const sheet = (width, height) => {
  const made = document.createElement("canvas");
  made.width = Math.max(1, width);
  made.height = Math.max(1, height);
  return made;
};

export class Pane {
  constructor(root, plane, view) {
    Object.assign(this, { root, plane, view, layer: null, key: "", wheel: 0, drag: null });
    this.canvas = root.querySelector("canvas");
    this.slider = root.querySelector("input[type=range]");
    this.where = root.querySelector("output");
    const { grid } = view.data.ct;
    this.slider.max = grid.size[plane.normal] - 1;
    this.slider.addEventListener("input", () => {
      view.step(plane.normal, Number(this.slider.value) - grid.nearest(plane.normal, view.at[plane.normal]));
    });
    root.querySelector("button").addEventListener("click", () => view.set({ large: plane.name }));
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    view.listen(() => this.draw());
  }

  // From the patient to the screen and back, in CSS pixels.
  get screen() {
    const { plane, view } = this, { grid } = view.data.ct;
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    const extent = (axis) => grid.high(axis) - grid.low(axis);
    const scale = view.zoom * Math.min(width / extent(plane.across), height / extent(plane.down));
    const [h, v, sign] = [view.centre[plane.across], view.centre[plane.down], plane.flipped ? -1 : 1];
    return {
      width, height, scale,
      x: (mm) => width / 2 + (mm - h) * scale,
      y: (mm) => height / 2 + sign * (mm - v) * scale,
      across: (x) => h + (x - width / 2) / scale,
      down: (y) => v + (sign * (y - height / 2)) / scale,
    };
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect(), { screen, plane } = this, found = [...this.view.at];
    found[plane.across] = screen.across(event.clientX - box.left);
    found[plane.down] = screen.down(event.clientY - box.top);
    return found;
  }

  draw() {
    const { canvas, view, plane } = this, { screen } = this, { grid } = view.data.ct;
    if (!screen.width || !screen.height) return;
    const dense = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [Math.round(screen.width * dense), Math.round(screen.height * dense)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const mm = view.at[plane.normal];
    const key = JSON.stringify([width, height, mm, view.centre, view.zoom, view.overlay, view.opacity, view.from, view.range,
      view.window, view.isodoses, view.lines, [...view.shown], view.reference]);
    if (key !== this.key) {
      this.key = key;
      this.layer = sheet(width, height);
      const pen = this.layer.getContext("2d");
      pen.scale(dense, dense);
      this.drawCT(pen, screen, mm);
      this.drawWash(pen, screen, mm);
      this.drawLines(pen, screen, mm);
      this.drawOutlines(pen, screen, mm);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.drawImage(this.layer, 0, 0);
    pen.scale(dense, dense);
    this.drawMarks(pen, screen);
    const index = grid.nearest(plane.normal, mm);
    this.slider.value = index;
    const text = `${NAMES[plane.normal]} = ${mm.toFixed(1)} mm, ${index + 1} of ${grid.size[plane.normal]}`;
    this.slider.setAttribute("aria-valuetext", text);
    this.where.textContent = text;
    this.root.classList.toggle("large", view.large === plane.name);
  }

  drawCT(pen, screen, mm) {
    const { plane, view } = this, { grid } = view.data.ct;
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, screen.width, screen.height);
    const found = view.data.ct.plane(plane, mm, { linear: false });
    if (!found) return;
    const image = sheet(found.width, found.height), inner = image.getContext("2d");
    inner.putImageData(grey(inner.createImageData(found.width, found.height), found, ...view.window), 0, 0);
    const left = screen.x(grid.low(plane.across)), right = screen.x(grid.high(plane.across));
    const first = screen.y(grid.low(plane.down)), last = screen.y(grid.high(plane.down));
    pen.save();
    pen.translate(left, first);
    pen.scale((right - left) / found.width, (last - first) / found.height); // negative where z goes up
    pen.imageSmoothingQuality = "high";
    pen.drawImage(image, 0, 0);
    pen.restore();
  }

  // The values that are coloured, and how.
  paint(mm) {
    const { plane, view } = this, { planned, computed, gamma } = view.data, { opacity } = view;
    const share = view.reference / 100, cut = (volume) => volume && volume.plane(plane, mm);
    if (view.overlay === "planned" || view.overlay === "computed") {
      const found = cut(view.data[view.overlay]), high = Math.max(105 * share, view.data.facts.dose.maximum_gy);
      return found && { found, colours: COLOURS.dose, low: 0, high, from: view.from * share, opacity };
    }
    if (view.overlay === "difference" && planned) {
      const before = cut(planned), found = cut(computed), high = view.range * share;
      if (!found) return null;
      found.values.forEach((value, i) => { found.values[i] = value - before.values[i]; });
      return { found, colours: COLOURS.difference, low: -high, high, from: -Infinity, opacity: Math.min(1, 2 * opacity) };
    }
    if (view.overlay === "gamma" && gamma) {
      const found = gamma.plane(plane, mm, { linear: false });
      return found && { found, colours: COLOURS.gamma, low: 0, high: 2, from: 0, nearest: true, opacity: Math.min(1, 2 * opacity) };
    }
    return null;
  }

  drawWash(pen, screen, mm) {
    const paint = this.paint(mm);
    if (!paint) return;
    const [width, height] = [Math.round(screen.width), Math.round(screen.height)];
    const image = sheet(width, height), inner = image.getContext("2d");
    const colours = wash(inner.createImageData(width, height), paint.found, this.view.data.computed.grid, this.plane, screen, paint);
    inner.putImageData(colours, 0, 0);
    pen.drawImage(image, 0, 0, screen.width, screen.height);
  }

  drawLines(pen, screen, mm) {
    const { plane, view } = this, { grid } = view.data.computed;
    for (const [name, dash] of [["planned", []], ["computed", [6, 4]]]) {
      const found = view.lines[name] && view.data[name] && view.data[name].plane(plane, mm);
      if (!found) continue;
      view.isodoses.forEach(({ gy }, index) => {
        pen.beginPath();
        for (const line of isolines(found, gy)) {
          for (let i = 0; i < line.length; i += 2) {
            const x = screen.x(grid.mm(plane.across, line[i])), y = screen.y(grid.mm(plane.down, line[i + 1]));
            if (i) pen.lineTo(x, y); else pen.moveTo(x, y);
          }
        }
        pen.setLineDash(dash);
        pen.lineWidth = 1.6;
        pen.strokeStyle = lineColour(index);
        pen.stroke();
      });
      pen.setLineDash([]);
    }
  }

  drawOutlines(pen, screen, mm) {
    this.view.data.structures.forEach((structure, index) => {
      if (!this.view.shown.has(index)) return;
      pen.beginPath();
      for (const line of outlines(structure, this.plane, mm)) {
        pen.moveTo(screen.x(line[0]), screen.y(line[1]));
        for (let i = 2; i < line.length; i += 2) pen.lineTo(screen.x(line[i]), screen.y(line[i + 1]));
      }
      pen.lineWidth = 2;
      pen.strokeStyle = outlineColour(structure.colour, index);
      pen.stroke();
    });
  }

  // Crosshair, profile, letters, scale.
  drawMarks(pen, screen) {
    const { plane, view } = this, x = screen.x(view.at[plane.across]), y = screen.y(view.at[plane.down]), gap = 8;
    pen.lineWidth = 1;
    pen.strokeStyle = "rgb(120 255 180 / 75%)";
    pen.beginPath();
    for (const [x0, y0, x1, y1] of [[0, y, x - gap, y], [x + gap, y, screen.width, y], [x, 0, x, y - gap], [x, y + gap, x, screen.height]]) {
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
    }
    pen.stroke();
    if (view.profile) {
      const { from, to } = view.profile;
      pen.strokeStyle = "#ffee58";
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(screen.x(from[plane.across]), screen.y(from[plane.down]));
      pen.lineTo(screen.x(to[plane.across]), screen.y(to[plane.down]));
      pen.stroke();
    }
    const text = (words, left, top, align, base) => {
      pen.textAlign = align;
      pen.textBaseline = base;
      pen.strokeStyle = "#000";
      pen.lineWidth = 3;
      pen.strokeText(words, left, top);
      pen.fillStyle = "#fff";
      pen.fillText(words, left, top);
    };
    const letter = letters(view.data.facts.axes, plane), { width, height } = screen;
    pen.font = "600 15px system-ui, sans-serif";
    text(letter.left, 6, height / 2, "left", "middle");
    text(letter.right, width - 6, height / 2, "right", "middle");
    text(letter.top, width / 2, 6, "center", "top");
    text(letter.bottom, width / 2, height - 6, "center", "bottom");
    const length = [100, 50, 20, 10, 5].find((mm) => mm * screen.scale < width / 3) || 2;
    pen.fillStyle = "#fff";
    pen.fillRect(10, height - 10, length * screen.scale, 2);
    pen.font = "12px system-ui, sans-serif";
    text(`${length} mm`, 10, height - 14, "left", "bottom");
  }

  listen() {
    const { canvas, view, plane } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey) { view.zoomBy(Math.exp(-event.deltaY / 300), this.point(event)); return; }
      this.wheel += event.deltaMode ? Math.sign(event.deltaY) * WHEEL : event.deltaY;
      const steps = Math.trunc(this.wheel / WHEEL);
      this.wheel -= steps * WHEEL;
      if (steps) view.step(plane.normal, -steps);
    }, { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      const pan = event.button === 2 || event.shiftKey;
      this.drag = { pan, touch: event.pointerType === "touch", from: this.point(event), centre: view.centre };
      canvas.focus({ preventScroll: true });
      if (!this.drag.touch) canvas.setPointerCapture(event.pointerId);
      if (!pan && !this.drag.touch) this.dragTo(this.drag.from);
    });
    canvas.addEventListener("pointermove", (event) => {
      const point = this.point(event);
      if (event.pointerType !== "touch") view.set({ cursor: point });
      if (!this.drag || this.drag.touch) return;
      if (!this.drag.pan) { this.dragTo(point); return; }
      view.set({ centre: view.centre.map((mm, axis) => mm + this.drag.from[axis] - point[axis]) });
    });
    canvas.addEventListener("pointerup", (event) => {
      if (this.drag?.touch) view.go(this.point(event));
      this.drag = null;
    });
    canvas.addEventListener("pointercancel", () => { this.drag = null; });
    canvas.addEventListener("pointerleave", () => view.set({ cursor: null }));
    canvas.addEventListener("keydown", (event) => this.onKey(event));
  }

  dragTo(point) {
    if (this.view.tool === "profile") this.view.set({ profile: { from: this.drag.from, to: point } });
    else this.view.go(point);
  }

  onKey(event) {
    const { view, plane } = this, up = plane.flipped ? 1 : -1;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const slices = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -1e6, End: 1e6 }[event.key];
    const moves = { ArrowLeft: [plane.across, -1], ArrowRight: [plane.across, 1], ArrowUp: [plane.down, up], ArrowDown: [plane.down, -up] };
    const overlays = { 0: "none", 1: "planned", 2: "computed", 3: "difference", 4: "gamma" };
    if (moves[event.key] && (event.shiftKey || !slices)) view.step(...moves[event.key]);
    else if (slices) view.step(plane.normal, slices);
    else if (event.key === "+" || event.key === "=") view.zoomBy(1.25);
    else if (event.key === "-") view.zoomBy(0.8);
    else if (event.key === "r") view.reset();
    else if (event.key in overlays) view.set({ overlay: overlays[event.key] });
    else return;
    event.preventDefault();
  }
}
