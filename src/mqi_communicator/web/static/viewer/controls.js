// The controls beside the planes: what is coloured, lines, window, structures, where to go, and the numbers.

import { drawHistogram, drawProfile } from "./charts.js";
import { COLOURS, lineColour, outlineColour } from "./colours.js";
import { inside } from "./outlines.js";
import { WINDOWS } from "./view.js";

const find = (id) => document.getElementById(id);
const fixed = (value, digits) => {
  if (!Number.isFinite(value)) return "–";
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
};
const signed = (value, digits) => (value > 0 && Number(value.toFixed(digits)) !== 0 ? "+" : "") + fixed(value, digits);
const make = (tag, fields = {}, ...inner) => {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...inner);
  return made;
};

export const connect = (view) => {
  const { facts, structures } = view.data, { dose } = facts, unit = dose.unit;

  // which dose is coloured
  const overlays = [...document.querySelectorAll("input[name=overlay]")];
  const available = { planned: view.data.planned, difference: view.data.planned, gamma: view.data.gamma };
  for (const one of overlays) {
    one.disabled = one.value in available && !available[one.value];
    one.addEventListener("change", () => view.set({ overlay: one.value }));
  }
  const number = (id, name, factor = 1) => {
    find(id).addEventListener("input", () => {
      const value = Number(find(id).value);
      if (find(id).value !== "" && Number.isFinite(value)) view.set({ [name]: value * factor });
    });
  };
  number("opacity", "opacity", 0.01);
  number("from", "from");
  number("range", "range");

  // isodose lines
  const readLevels = () => {
    const levels = find("levels").value.split(/[\s,;]+/).map(Number).filter((one) => one > 0).slice(0, 12);
    view.set({ levels, unit: find("unit").value });
  };
  find("levels").value = view.levels.join(" ");
  find("levels").addEventListener("input", readLevels);
  find("unit").append(make("option", { value: "%", textContent: "%" }), make("option", { value: "Gy", textContent: unit }));
  find("unit").addEventListener("change", () => {
    const levels = view.isodoses.map(({ gy, percent }) => (find("unit").value === "%" ? percent : gy));
    find("levels").value = levels.map((one) => Number(one.toFixed(2))).join(" ");
    readLevels();
  });
  for (const name of ["planned", "computed"]) {
    find(`lines-${name}`).checked = view.lines[name];
    find(`lines-${name}`).disabled = !view.data[name];
    find(`lines-${name}`).addEventListener("change", () => view.set({ lines: { ...view.lines, [name]: find(`lines-${name}`).checked } }));
  }
  const references = [[dose.reference_gy, dose.reference], [dose.maximum_gy, `the maximum, ${dose.maximum_gy.toFixed(2)} Gy`]];
  references.forEach(([gy, text], i) => {
    if (i === 0 || Math.abs(gy - references[0][0]) > 1e-6) find("reference").append(make("option", { value: gy, textContent: text }));
  });
  find("reference").addEventListener("change", () => view.set({ reference: Number(find("reference").value) }));

  // window of the CT
  for (const name of Object.keys(WINDOWS)) find("window").append(make("option", { value: name, textContent: name }));
  find("window").append(make("option", { value: "", textContent: "own" }));
  find("window").addEventListener("change", () => { if (WINDOWS[find("window").value]) view.set({ window: WINDOWS[find("window").value] }); });
  for (const id of ["centre", "width"])
    find(id).addEventListener("change", () => view.set({ window: [Number(find("centre").value), Math.max(1, Number(find("width").value))] }));

  // structures
  const boxes = structures.map((structure, index) => {
    const box = make("input", { type: "checkbox", id: `structure-${index}` });
    const swatch = make("span", { className: "swatch" });
    swatch.style.backgroundColor = outlineColour(structure.colour, index);
    const jump = make("button", { type: "button", className: "plain", textContent: "go" });
    jump.setAttribute("aria-label", `Go to ${structure.name}`);
    jump.addEventListener("click", () => view.go(inside(structure)));
    box.addEventListener("change", () => {
      const shown = new Set(view.shown);
      if (box.checked) shown.add(index); else shown.delete(index);
      view.set({ shown });
    });
    find("structures").append(make("li", {}, make("label", {}, box, swatch, structure.name), jump));
    return box;
  });
  if (!structures.length) find("structures").append(make("li", { className: "muted", textContent: "None in the volume shown." }));
  const all = (wanted) => view.set({ shown: new Set(wanted ? structures.keys() : []) });
  find("structures-all").addEventListener("click", () => all(true));
  find("structures-none").addEventListener("click", () => all(false));

  // where to go
  facts.points.forEach((point, i) => find("places").append(make("option", { value: `point ${i}`, textContent: point.name })));
  structures.forEach((one, i) => find("places").append(make("option", { value: `structure ${i}`, textContent: one.name })));
  find("places").addEventListener("change", () => {
    const [kind, index] = find("places").value.split(" ");
    if (kind === "point") view.go(facts.points[index].at);
    if (kind === "structure") view.go(inside(structures[index]));
  });
  const fields = ["x", "y", "z"].map((name) => find(`at-${name}`));
  fields.forEach((field) => field.addEventListener("change", () => {
    const point = fields.map((one) => Number(one.value));
    if (fields.every((one) => one.value !== "") && point.every(Number.isFinite)) view.go(point);
  }));
  find("zoom-in").addEventListener("click", () => view.zoomBy(1.25));
  find("zoom-out").addEventListener("click", () => view.zoomBy(0.8));
  find("reset").addEventListener("click", () => view.reset());

  // profile along a line
  const drawing = find("profile-draw");
  drawing.addEventListener("click", () => view.set({ tool: view.tool === "profile" ? "crosshair" : "profile" }));
  find("profile-start").addEventListener("click", () => view.set({ profile: { from: view.at, to: view.profile?.to || view.at } }));
  find("profile-end").addEventListener("click", () => view.set({ profile: { from: view.profile?.from || view.at, to: view.at } }));
  find("profile-clear").addEventListener("click", () => view.set({ profile: null, tool: "crosshair" }));
  let drawn = null;
  const profile = () => {
    drawing.setAttribute("aria-pressed", view.tool === "profile");
    find("profile").hidden = !view.profile;
    if (!view.profile || view.profile === drawn) return;
    drawn = view.profile;
    const { length, most } = drawProfile(find("profile-chart"), view, unit);
    const at = most ? ` Largest difference: ${signed(most.difference, 2)} ${unit} at ${fixed(most.mm, 1)} mm.` : "";
    find("profile-text").textContent = `${fixed(length, 1)} mm. Planned solid, computed dashed.${at}`;
  };
  if (view.data.gamma && dose.gamma_exact) drawHistogram(find("histogram"), view.data.gamma);

  const readout = () => {
    const point = view.cursor || view.at, found = view.values(point);
    const share = (gy) => (Number.isFinite(gy) ? `${fixed((100 * gy) / view.reference, 1)} %` : "–");
    find("of-what").textContent = view.cursor ? "under the cursor" : "at the crosshair";
    find("r-position").textContent = point.map((mm) => fixed(mm, 1)).join(", ");
    find("r-hu").textContent = fixed(found.hu, 0);
    for (const name of ["planned", "computed"]) {
      find(`r-${name}`).textContent = fixed(found[name], 3);
      find(`r-${name}-share`).textContent = share(found[name]);
    }
    find("r-difference").textContent = signed(found.difference, 3);
    find("r-difference-share").textContent = Number.isFinite(found.difference) ? `${signed((100 * found.difference) / view.reference, 1)} %` : "–";
    const gamma = dose.gamma_exact ? (found.gamma >= 2 ? "2 or more" : fixed(found.gamma, 2)) : found.gamma > 1 ? "above 1" : "at most 1";
    find("r-gamma").textContent = Number.isNaN(found.gamma) ? "–" : gamma;
  };

  const legend = () => {
    const bar = find("bar"), pen = bar.getContext("2d"), dose_ = view.overlay === "planned" || view.overlay === "computed";
    find("scale").hidden = view.overlay === "none";
    find("from-field").hidden = !dose_;
    find("range-field").hidden = view.overlay !== "difference";
    if (view.overlay === "none") return;
    const top = Math.max(1.05 * view.reference, dose.maximum_gy), edge = (view.range * view.reference) / 100;
    const colours = dose_ ? COLOURS.dose : COLOURS[view.overlay];
    for (let x = 0; x < bar.width; x++) {
      const entry = 4 * Math.round((255 * x) / (bar.width - 1));
      pen.fillStyle = `rgb(${colours[entry]} ${colours[entry + 1]} ${colours[entry + 2]})`;
      pen.fillRect(x, 0, 1, bar.height);
    }
    const texts = dose_ ? ["0", `${fixed(top, 2)} ${unit}`] : view.overlay === "gamma" ? ["gamma 0 passes", "1", "2 fails"]
      : [`computed lower, −${fixed(edge, 2)} ${unit}`, "", `higher, +${fixed(edge, 2)} ${unit}`];
    find("scale-text").replaceChildren(...texts.map((text) => make("span", { textContent: text })));
  };

  const isodoses = () => {
    find("isodoses").replaceChildren(...view.isodoses.map(({ gy, percent }, index) => {
      const swatch = make("span", { className: "swatch" });
      swatch.style.backgroundColor = lineColour(index);
      return make("li", {}, swatch, `${Number(percent.toFixed(1))} %  ${fixed(gy, 2)} Gy`);
    }));
  };

  view.listen(() => {
    overlays.forEach((one) => { one.checked = one.value === view.overlay; });
    boxes.forEach((box, index) => { box.checked = view.shown.has(index); });
    const name = Object.keys(WINDOWS).find((key) => WINDOWS[key].join() === view.window.join());
    find("window").value = name || "";
    if (document.activeElement !== find("centre")) find("centre").value = view.window[0];
    if (document.activeElement !== find("width")) find("width").value = view.window[1];
    fields.forEach((field, axis) => { if (document.activeElement !== field) field.value = fixed(view.at[axis], 2); });
    readout();
    profile();
    find("histogram").toggleAttribute("hidden", view.overlay !== "gamma" || !dose.gamma_exact); // an SVG has no property for it
    legend();
    isodoses();
  });

  const step = (grid) => grid.spacing.map((mm) => Number(mm.toFixed(3))).join(" x ");
  const recorded = { spacing: facts.ct.recorded.spacing }, same = step(facts.ct.grid) === step(recorded);
  find("r-unit").textContent = unit;
  find("of-what").dataset.unit = unit;
  find("about").textContent =
    `CT: voxels of ${step(facts.ct.grid)} mm${same ? ", as recorded" : `, averaged from recorded voxels of ${step(recorded)} mm`}. ` +
    `Patient position ${facts.position || "not recorded"}; images are in the patient's axes. ` +
    `Dose: ${unit}, ${dose.extent}, on a grid of ${step(dose.grid)} mm, in steps of ${dose.step_gy.toPrecision(2)} Gy; linear between grid points. ` +
    (dose.criterion ? `Gamma: ${dose.criterion}${dose.gamma_exact ? "" : ", of so many points only whether it is at most 1"}. ` : "") + "The computed dose is interpolated on the planned grid.";
};
