"use strict";
// Reads values off the DVH: planned and computed volume of every structure at the dose under the pointer or the slider.
(() => {
  const LEFT = 44, RIGHT = 630; // of the chart, as in web/record.py
  const known = new WeakMap();

  const dataOf = (figure) => {
    if (!known.has(figure)) known.set(figure, JSON.parse(figure.dataset.dvh));
    return known.get(figure);
  };

  // The volume at a dose in Gy, linear between the points of a curve.
  const volumeAt = (curve, at) => {
    const low = Math.min(Math.floor(at), curve.length - 1), high = Math.min(low + 1, curve.length - 1);
    return curve[low] + (at - low) * (curve[high] - curve[low]);
  };

  const show = (figure, gy) => {
    const { step, unit, curves } = dataOf(figure), top = step * (curves[0].planned.length - 1);
    const dose = Math.min(Math.max(gy, 0), top), x = LEFT + dose / top * (RIGHT - LEFT);
    const cursor = figure.querySelector(".cursor");
    cursor.removeAttribute("hidden");
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    figure.querySelector("output").textContent = `${dose.toFixed(2)} ${unit}`;
    figure.querySelector("input[type=range]").value = dose;
    figure.querySelectorAll(".at").forEach((cell) => { cell.hidden = false; });
    figure.querySelectorAll("td.at").forEach((cell, number) => {
      const read = (curve) => volumeAt(curve, dose / step).toFixed(1);
      cell.replaceChildren(read(curves[number].planned), document.createElement("br"), read(curves[number].computed));
    });
  };

  const figureOf = (event) => (event.target instanceof Element ? event.target.closest("figure.dvh") : null);
  document.addEventListener("pointermove", (event) => {
    const figure = figureOf(event), chart = figure && event.target.closest("svg");
    if (!chart) return;
    const box = chart.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * chart.viewBox.baseVal.width;
    const { step, curves } = dataOf(figure);
    show(figure, (x - LEFT) / (RIGHT - LEFT) * step * (curves[0].planned.length - 1));
  });
  document.addEventListener("input", (event) => {
    const figure = figureOf(event);
    if (figure && event.target.type === "range") show(figure, Number(event.target.value));
    if (figure && event.target.type === "checkbox") {
      const number = [...figure.querySelectorAll("input[type=checkbox]")].indexOf(event.target);
      figure.querySelectorAll("svg > g")[number].classList.toggle("off", !event.target.checked);
    }
  });

  const arm = (figure) => figure.querySelectorAll(".reads, input[type=checkbox]").forEach((one) => { one.hidden = false; });
  document.querySelectorAll("figure.dvh").forEach(arm);
  document.addEventListener("part-replaced", (event) => event.target.querySelectorAll("figure.dvh").forEach(arm));
})();
