// The state of the viewer. Whoever changes it calls `set`, and all that listen are called once before the next frame.

import { PLANES } from "./volume.js";

export const WINDOWS = {
  "soft tissue": [40, 400], bone: [500, 2000], lung: [-600, 1600], brain: [40, 80], "whole range": [500, 3500],
};

export class View {
  constructor(data) {
    this.data = data;
    const { dose } = data.facts, grid = data.ct.grid;
    Object.assign(this, {
      at: [0, 1, 2].map((axis) => (grid.low(axis) + grid.high(axis)) / 2),
      cursor: null, // the point under the mouse
      centre: [0, 1, 2].map((axis) => (grid.low(axis) + grid.high(axis)) / 2), // of the screen
      zoom: 1,
      large: "axial",
      overlay: data.planned ? "planned" : "computed",
      opacity: 0.45,
      from: 10, // % of the reference: lower doses have no colour
      range: 10, // % of the reference: differences beyond it have the last colour
      window: WINDOWS["soft tissue"],
      reference: dose.reference_gy,
      levels: [105, 100, 95, 80, 50, 20],
      unit: "%",
      lines: { planned: Boolean(data.planned), computed: true },
      shown: new Set(),
      tool: "crosshair",
      profile: null, // { from, to }
    });
    this.listeners = [];
    this.frame = 0;
  }

  listen(listener) { this.listeners.push(listener); }

  set(change) {
    Object.assign(this, change);
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.listeners.forEach((listener) => listener());
    });
  }

  // Move the crosshair, within the CT.
  go(point) {
    const { grid } = this.data.ct;
    this.set({ at: point.map((mm, axis) => Math.min(grid.mm(axis, grid.size[axis] - 1), Math.max(grid.mm(axis, 0), mm))) });
  }

  // Move the crosshair to the centre of another CT voxel.
  step(axis, steps) {
    const { grid } = this.data.ct, point = [...this.at];
    point[axis] = grid.mm(axis, grid.nearest(axis, point[axis]) + steps);
    this.go(point);
  }

  // Enlarge around a point, which stays where it is on the screen.
  zoomBy(factor, point = this.at) {
    const zoom = Math.min(20, Math.max(0.5, this.zoom * factor)), by = zoom / this.zoom;
    this.set({ zoom, centre: this.centre.map((mm, axis) => point[axis] + (mm - point[axis]) / by) });
  }

  reset() {
    const { grid } = this.data.ct;
    this.set({ zoom: 1, centre: [0, 1, 2].map((axis) => (grid.low(axis) + grid.high(axis)) / 2) });
  }

  // Isodose levels as { gy, percent }, highest first.
  get isodoses() {
    return [...this.levels].sort((a, b) => b - a).map((level) => {
      const gy = this.unit === "%" ? (level * this.reference) / 100 : level;
      return { gy, percent: (100 * gy) / this.reference };
    });
  }

  // Both doses in Gy, gamma and HU at a point; NaN where there is none.
  values(point) {
    const { planned, computed, gamma, ct } = this.data;
    const [before, after] = [planned ? planned.value(point) : NaN, computed.value(point)];
    return { hu: ct.nearest(point), planned: before, computed: after, difference: after - before,
             gamma: gamma ? gamma.nearest(point) : NaN };
  }

  get planes() { return PLANES; }
}
