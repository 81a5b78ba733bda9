// The keyboard: what each key does, and the list of keys.
import { clamp, element, make } from "./page.js";
import { change, state } from "./state.js";
import { themeOf } from "./colours.js";
import { step } from "./views/overview.js";
import { headShown } from "./shown.js";
import { hideKey, pin, turn } from "./controls.js";
import { cellText, zoom } from "./views/matrix.js";

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
  [["t"], "light or dark", { t: () => turnTheme() }],
  [["?"], "these keys", { "?": () => showKeys() }],
];
const ACTIONS = Object.assign({}, ...KEYS.map(([, , actions]) => actions));

function move(down, right) {
  const head = headShown();
  if (!head) return;
  const next = (side, cell, by) => side.items[clamp(side.of[cell] + by, 0, side.items.length - 1)].cells[0];
  change({ query: next(head.queries, state.query, down), key: next(head.keys, state.key, right), hover: null });
  element("live").textContent = cellText();
}

const turnTheme = () => change({ theme: themeOf(state) === "dark" ? "light" : "dark" });

function showKeys() {
  const dialog = element("keys");
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

function listKeys() {
  const lines = KEYS.map(([names, meaning]) => [make("dt", "", "", ...names.map((name) => make("kbd", name))), make("dd", meaning)]);
  element("key-list").replaceChildren(...lines.flat());
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("select, input, textarea") || (element("keys").open && event.key !== "?")) return;
  const isMap = [element("map"), element("scatter")].includes(event.target);
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (isMap && event.key in moves) step(...moves[event.key]);
  else if (Object.hasOwn(ACTIONS, event.key)) ACTIONS[event.key]();
  else return;
  event.preventDefault();
}

export function startKeys() {
  listKeys();
  document.addEventListener("keydown", pressed);
  element("show-keys").addEventListener("click", showKeys);
  element("close-keys").addEventListener("click", showKeys);
  element("turn-theme").addEventListener("click", turnTheme);
  for (const [id, by] of [["previous-head", -1], ["next-head", 1]]) element(id).addEventListener("click", () => step(0, by));
}
