// The keyboard: what each key does, and the list of keys.
import { about, element, make } from "./page.js";
import { headAtHand } from "./heads.js";
import { change, state } from "./state.js";
import { themeOf } from "./colours.js";
import { nextMetric, step } from "./overview.js";
import { cellText, zoom } from "./matrix.js";

const KEYS = [
  [["↑", "↓"], "the query above, below", { ArrowUp: () => move(-1, 0), ArrowDown: () => move(1, 0) }],
  [["←", "→"], "the key to the left, to the right", { ArrowLeft: () => move(0, -1), ArrowRight: () => move(0, 1) }],
  [["[", "]"], "the head before, after", { "[": () => step(0, -1), "]": () => step(0, 1) }],
  [["{", "}"], "the layer before, after", { "{": () => step(-1, 0), "}": () => step(1, 0) }],
  [["r"], "where the query looks, or who looks at the key", { r: () => turn() }],
  [["m", "M"], "the next metric of the map, the one before", { m: () => nextMetric(1), M: () => nextMetric(-1) }],
  [["+", "−", "0"], "zoom in, out, all of the matrix", { "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => zoom(0) }],
  [["t"], "light or dark", { t: () => turnTheme() }],
  [["?"], "these keys", { "?": () => showKeys() }],
];
const ACTIONS = Object.assign({}, ...KEYS.map(([, , actions]) => actions));

function move(down, right) {
  change({ query: state.query + down, key: state.key + right, hover: null });
  const head = headAtHand(state);
  if (head) element("live").textContent = cellText(head, state.query, state.key);
}

const turn = () => change({ direction: state.direction === "from" ? "to" : "from" });

const turnTheme = () => change({ theme: themeOf(state) === "dark" ? "light" : "dark" });

function showKeys() {
  const dialog = element("keys");
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

function listKeys() {
  const lines = KEYS.map(([names, meaning]) => {
    const [term, text] = [make("dt"), make("dd", meaning)];
    term.append(...names.map((name) => make("kbd", name)));
    return [term, text];
  });
  element("key-list").replaceChildren(...lines.flat());
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("select, input, textarea") || (element("keys").open && event.key !== "?")) return;
  const isMap = event.target === element("map");
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
