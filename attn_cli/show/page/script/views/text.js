// The text itself, shaded by what the chosen token looks at, or by who looks at it.
import { about, element, make, set } from "../page.js";
import { change, focusOf, onChange, state } from "../state.js";
import { colour, ink, partOf, scaleOf, themeOf } from "../colours.js";
import { headShown } from "../shown.js";

let shown = { kind: -1, pieces: { queries: [], keys: [] } };

/** The pieces of a text as elements; those with tokens can be chosen. */
function build(holder, text, side) {
  const pieces = about.texts[text].pieces.map(([content, tokens, isMark]) => {
    const piece = make("span", content, isMark ? "mark" : tokens ? "token" : "");
    if (tokens) set(piece, { "data-token": tokens[0], role: "option", tabindex: -1, "aria-selected": false });
    if (tokens && !content.trim()) set(piece, { "aria-label": "space" });
    return { piece, tokens: tokens ?? [], side };
  });
  holder.replaceChildren(...pieces.map(({ piece }) => piece));
  holder.querySelector("[data-token]").tabIndex = 0;
  return pieces.filter(({ tokens }) => tokens.length);
}

function rebuild() {
  const { queries, keys } = about.kinds[state.kind];
  const isOne = queries === keys;
  element("other-text").hidden = isOne;
  const first = build(element("text"), queries, "queries");
  const other = isOne ? first : build(element("other-text"), keys, "keys");
  shown = { kind: state.kind, pieces: { queries: first, keys: other }, isOne };
}

/** The rows or columns of some tokens: of a long text, of the blocks that they are in. */
function indices(tokens, side) {
  const cell = about.kinds[state.kind].cells[side === "queries" ? 0 : 1];
  return [...new Set(tokens.map((token) => Math.floor(token / cell)))];
}

/** The weight of a piece: of keys together, of queries on average; null if all are masked or hidden. */
function weightOf(head, tokens, focus) {
  const isFrom = state.direction === "from";
  const side = isFrom ? head.keys : head.queries;
  const places = new Set(indices(tokens, isFrom ? "keys" : "queries").map((cell) => side.of[cell]));
  const cells = [...places].filter((place) => !side.items[place].isHidden).map((place) => (isFrom ? [focus, place] : [place, focus]));
  const seen = cells.filter(([row, column]) => head.seen[row * head.columns + column]);
  if (!seen.length) return null;
  const sum = seen.reduce((total, [row, column]) => total + head.weight(row, column), 0);
  return isFrom ? sum : sum / seen.length;
}

function draw() {
  if (shown.kind !== state.kind) rebuild();
  const head = headShown();
  if (!head) return;
  const [theme, isFrom, scale] = [themeOf(), state.direction === "from", scaleOf(head)];
  const side = isFrom ? head.queries : head.keys;
  const focus = side.of[focusOf()];
  const [chosenSide, shadedSide] = isFrom ? ["queries", "keys"] : ["keys", "queries"];
  if (!shown.isOne) for (const { piece } of shown.pieces[chosenSide]) plain(piece);
  for (const { piece, tokens } of shown.pieces[shadedSide]) shade(piece, weightOf(head, tokens, focus), scale, theme);
  for (const { piece, tokens } of shown.pieces[chosenSide]) {
    const isChosen = indices(tokens, chosenSide).some((cell) => side.of[cell] === focus);
    if (isChosen && !state.hover) reach(piece);
    choose(piece, isChosen);
  }
  if (!shown.isOne) for (const { piece } of shown.pieces[shadedSide]) choose(piece, false);
}

function choose(piece, isChosen) {
  if (piece.classList.contains("chosen") !== isChosen) set(piece, { "aria-selected": isChosen });
  piece.classList.toggle("chosen", isChosen);
}

/** Let the Tab key reach this piece, and scroll to it. */
function reach(piece) {
  const before = piece.parentElement.querySelector("[tabindex='0']");
  before.tabIndex = -1;
  piece.tabIndex = 0;
  if (before === document.activeElement) piece.focus({ preventScroll: true });
  reveal(piece);
}

/** Choose the token, or the word, before or after the one that has the focus. */
export function stepInText(piece, by) {
  const pieces = [...piece.parentElement.querySelectorAll("[data-token]")];
  const turned = getComputedStyle(piece.parentElement).direction === "rtl" ? -by : by;
  let next = pieces.indexOf(piece) + turned;
  while (pieces[next]?.classList.contains("chosen")) next += turned;
  pieces[next]?.click();
  pieces[next]?.focus(); // at once: the next key may come before the page is drawn
}

/** Scroll the text, not the page, so that the piece is seen. */
function reveal(piece) {
  const [box, holder] = [piece.getBoundingClientRect(), piece.parentElement.getBoundingClientRect()];
  if (box.top < holder.top) piece.parentElement.scrollTop -= holder.top - box.top + 8;
  if (box.bottom > holder.bottom) piece.parentElement.scrollTop += box.bottom - holder.bottom + 8;
}

function plain(piece) {
  piece.style.backgroundColor = piece.style.color = "";
  piece.classList.remove("masked");
}

function shade(piece, weight, scale, theme) {
  const part = weight ? partOf(weight, scale) : 0;
  piece.classList.toggle("masked", weight === null);
  piece.style.backgroundColor = part ? colour(part, theme) : "";
  piece.style.color = part > 0.05 ? ink(part, theme) : "";
}

function under(event) {
  const token = event.target.dataset?.token;
  if (token === undefined) return null;
  const isKeyText = event.currentTarget.id === "other-text";
  const isQuery = shown.isOne ? state.direction === "from" : !isKeyText;
  const name = isQuery ? "query" : "key";
  return { name, index: indices([Number(token)], isQuery ? "queries" : "keys")[0] };
}

export function startText() {
  for (const id of ["text", "other-text"]) {
    element(id).addEventListener("click", (event) => {
      const chosen = under(event);
      if (chosen) change({ [chosen.name]: chosen.index, hover: null, direction: chosen.name === "query" ? "from" : "to" });
    });
    element(id).addEventListener("pointerover", (event) => {
      const chosen = under(event);
      const isFocus = chosen && chosen.name === (state.direction === "from" ? "query" : "key");
      change({ hover: isFocus ? { query: state.query, key: state.key, [chosen.name]: chosen.index } : null });
    });
    element(id).addEventListener("pointerleave", () => change({ hover: null }));
  }
  onChange(draw);
}
