// The keyboard: what each key does, and the list of keys.
import { clamp, element, make } from "./page.js";
import { change, onChange, state } from "./state.js";
import { themeOf } from "./colours.js";
import { step } from "./views/overview.js";
import { headShown } from "./shown.js";
import { hideKey, pin, turn } from "./controls.js";
import { cellText, zoom } from "./views/matrix.js";
import { stepInText } from "./views/text.js";
import { stepInList } from "./views/row.js";
import { copyLink } from "./save.js";

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const KEYS = [
  [["↑", "↓"], "the query above, below", { ArrowUp: () => move(-1, 0), ArrowDown: () => move(1, 0) }],
  [["←", "→"], "the key to the left, to the right", { ArrowLeft: () => move(0, -1), ArrowRight: () => move(0, 1) }],
  [["[", "]"], "the head before, after", { "[": () => step(0, -1), "]": () => step(0, 1) }],
  [["{", "}"], "the layer before, after", { "{": () => step(-1, 0), "}": () => step(1, 0) }],
  [["r"], "where the query looks, or who looks at the key", { r: () => turn("direction") }],
  [["c"], "pin this head, to see others beside it; let go of it", { c: () => pin() }],
  [["s", "x"], "hide the first token or special tokens; hide or show this key", { s: () => turn("hide"), x: () => hideKey() }],
  [["n"], "divide rows by what hidden keys leave of them", { n: () => turn("renormalize") }],
  [["w"], "words in place of tokens", { w: () => turn("words") }],
  [["z"], "the scale: 0 to 1, per head, logarithmic", { z: () => turn("scale") }],
  [["l"], "the matrix, or lines between tokens", { l: () => turn("view") }],
  [["v"], "heads as a map, a scatter or a list", { v: () => turn("overview") }],
  [["m", "M"], "the next metric of the heads, the one before", { m: () => turn("metric"), M: () => turn("metric", -1) }],
  [["+", "−", "0"], "zoom in, out, all of the matrix", { "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => zoom(0) }],
  [["y"], "copy a link to this view", { y: copyLink }],
  [["t"], "light or dark", { t: () => turnTheme() }],
  [["Tab"], "map, text, matrix, list: in each of them arrow keys choose", {}],
  [["?"], "these keys", { "?": () => showKeys() }],
];
let spoken = [];
const ACTIONS = Object.assign({}, ...KEYS.map(([, , actions]) => actions));

function move(down, right) {
  const head = headShown();
  if (!head) return;
  const next = (side, cell, by) => side.items[clamp(side.of[cell] + by, 0, side.items.length - 1)].cells[0];
  change({ query: next(head.queries, state.query, down), key: next(head.keys, state.key, right), hover: null });
}

/** Say the head and the cell that were chosen, for those who do not see them. */
function speak() {
  if (!headShown() || state.hover) return;
  const said = [`Head ${state.layer}.${state.head}`, cellText(state, true)];
  const news = said.filter((part) => !spoken.includes(part));
  if (spoken.length && news.length) element("live").textContent = news.join(": ");
  spoken = said;
}

const turnTheme = () => change({ theme: themeOf() === "dark" ? "light" : "dark" });

function showKeys() {
  const dialog = element("keys");
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

function listKeys() {
  for (const [names, meaning] of KEYS) {
    element("key-list").append(make("dt", "", "", {}, ...names.map((name) => make("kbd", name))), make("dd", meaning));
  }
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("select, input, textarea") || (element("keys").open && event.key !== "?")) return;
  const [down, right] = ARROWS[event.key] ?? [0, 0];
  const [token, line] = [event.target.closest("[data-token]"), event.target.closest("#row-list tr, #head-list tr")];
  if (event.target.closest("#map-grid, #scatter") && (down || right)) step(down, right);
  else if (token && right) stepInText(token, right);
  else if (line && down) stepInList(line, down);
  else if (Object.hasOwn(ACTIONS, event.key)) ACTIONS[event.key]();
  else return;
  event.preventDefault();
}

export function startKeys() {
  onChange(speak);
  listKeys();
  document.addEventListener("keydown", pressed);
  element("show-keys").addEventListener("click", showKeys);
  element("close-keys").addEventListener("click", showKeys);
  element("turn-theme").addEventListener("click", turnTheme);
  for (const [id, by] of [["previous-head", -1], ["next-head", 1]]) element(id).addEventListener("click", () => step(0, by));
}
