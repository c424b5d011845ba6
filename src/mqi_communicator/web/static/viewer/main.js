// The viewer of one case: fetches the volumes and connects planes and controls.

import { connect } from "./controls.js";
import { prepare } from "./outlines.js";
import { Pane } from "./pane.js";
import { View } from "./view.js";
import { PLANES, read } from "./volume.js";

const root = document.getElementById("viewer");
const progress = document.getElementById("loading");
const problem = document.getElementById("viewer-problem");

const fetched = async (address) => {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(await answer.text());
  const size = Number(answer.headers.get("content-length"));
  if (!size) return answer.arrayBuffer();
  const bytes = new Uint8Array(size), reader = answer.body.getReader();
  let count = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    bytes.set(piece.value, count);
    count += piece.value.length;
    progress.querySelector("progress").value = (100 * count) / size;
  }
  if (count !== size) throw new Error("The connection ended before all volumes had arrived. Reload the page.");
  return bytes.buffer;
};

const start = async () => {
  const data = read(await fetched(root.dataset.file), root.dataset.case);
  data.structures = data.structures.map(prepare);
  const view = new View(data);
  const targets = [...data.structures.keys()].filter((i) => data.structures[i].target);
  view.shown = new Set(targets.length ? targets : data.structures.keys());
  root.hidden = false; // sizes are known from here on
  progress.hidden = true;
  connect(view);
  for (const plane of Object.values(PLANES)) new Pane(document.getElementById(`pane-${plane.name}`), plane, view);
  view.go(data.facts.points[0]?.at || view.at);
  root.dataset.ready = "true";
};

if (root) {
  start().catch((error) => {
    progress.hidden = true;
    problem.textContent = error.message.trim() || "The volumes cannot be shown.";
    problem.hidden = false;
  });
  // another judgement has other volumes
  const current = document.getElementById("judged");
  const first = current.textContent.trim();
  new MutationObserver(() => {
    if (current.textContent.trim() !== first) document.getElementById("outdated").hidden = false;
  }).observe(current, { childList: true, subtree: true, characterData: true });
}
