// The keyboard: elements name their keys in `aria-keyshortcuts`, arrows and others are here; `page.html` lists all.
import { clamp, element, find, hasOwn, on, onClicks, shortName, write } from "./page.js";
import { change, onChange, state } from "./state.js";
import { themeOf } from "./colours.js";
import { step } from "./views/overview.js";
import { headShown } from "./shown.js";
import { hideKey, turn, use } from "./controls.js";
import { cellText } from "./views/readout.js";
import { zoom } from "./views/matrix.js";
import { stepInText } from "./views/text.js";
import { stepInList } from "./lists.js";

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const ACTIONS = {
  "{": () => step(-1, 0),
  "}": () => step(1, 0),
  x: hideKey,
  M: () => turn("metric", -1),
  "+": () => zoom(1.5),
  "=": () => zoom(1.5),
  "-": () => zoom(1 / 1.5),
  0: () => zoom(0),
};
let spoken = [];

function move(down, right) {
  const head = headShown();
  if (!head) return;
  const next = (side, cell, by) => side.items[clamp(side.of[cell] + by, 0, side.items.length - 1)].cells[0];
  change({ query: next(head.queries, state.query, down), key: next(head.keys, state.key, right), hover: null });
}

/** Say the head and the cell that were chosen, for those who do not see them. */
function speak() {
  if (!headShown() || state.hover) return;
  const said = [`Head ${shortName(state)}`, cellText(state, true)];
  const news = said.filter((part) => !spoken.includes(part));
  if (spoken.length && news.length) write("live", news.join(": "));
  spoken = said;
}

const turnTheme = () => change({ theme: themeOf() === "dark" ? "light" : "dark" });

function showKeys() {
  const dialog = element("keys");
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

/** Arrow keys go on from the head, the token or the line that has the focus, else from the cell. */
function go(target, down, right) {
  const [token, line] = [target.closest("[data-token]"), target.closest("#row-list tr, #head-list tr")];
  if (target.closest("#map-grid, #scatter")) step(down, right);
  else if (token && right) stepInText(token, right);
  else if (line && down) stepInList(line, down);
  else move(down, right);
}

function pressed(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("select, input, textarea")) return;
  if (element("keys").open && key !== "?") return;
  const named = find(`[aria-keyshortcuts="${CSS.escape(key)}"]`);
  if (hasOwn(ARROWS, key)) go(target, ...ARROWS[key]);
  else if (hasOwn(ACTIONS, key)) ACTIONS[key]();
  else if (named) use(named);
  else return;
  event.preventDefault();
}

export function startKeys() {
  onChange(speak);
  on(document, "keydown", pressed);
  onClicks({ "show-keys": showKeys, "close-keys": showKeys, "turn-theme": turnTheme, "previous-head": () => step(0, -1), "next-head": () => step(0, 1) });
}
