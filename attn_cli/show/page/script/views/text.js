// The text itself, shaded by what the chosen token looks at, or by who looks at it.
import { about, blockOf, boxOf, element, every, find, floor, make, onPointer, set, toggle } from "../page.js";
import { change, chosenBy, focusOf, isFrom, kindShown, sidesShown, state } from "../state.js";
import { colour, ink, partOf, scaleOf, themeOf } from "../colours.js";
import { onHeads } from "../shown.js";

let shown = { kind: -1 };

/** The pieces of a text as elements; those with tokens can be chosen. */
function build(holder, text, side) {
  const pieces = about.texts[text].pieces.map(([content, tokens, isMark]) => {
    const token = tokens && { "data-token": tokens[0], role: "option", tabindex: -1, "aria-selected": false, ...(!content.trim() && { "aria-label": "space" }) };
    const piece = make("span", { class: isMark ? "mark" : tokens ? "token" : "", ...token }, content);
    return { piece, tokens: tokens ?? [], side };
  });
  holder.replaceChildren(...pieces.map(({ piece }) => piece));
  find("[data-token]", holder).tabIndex = 0;
  return pieces.filter(({ tokens }) => tokens.length);
}

function rebuild() {
  const { queries, keys } = kindShown();
  const isOne = queries === keys;
  element("other-text").hidden = isOne;
  const pieces = [...build(element("text"), queries, "queries"), ...(isOne ? [] : build(element("other-text"), keys, "keys"))];
  shown = { kind: state.kind, pieces, isOne };
}

/** The rows or columns of some tokens: of a long text, of the blocks that they are in. */
function indices(tokens, side) {
  const size = blockOf(state.kind, side);
  return [...new Set(tokens.map((token) => floor(token / size)))];
}

/** The weight of a piece: of keys together, of queries on average; null if all are masked or hidden, undefined if nothing is left of their rows. */
function weightOfPiece(head, tokens, focus) {
  const [, side] = sidesShown();
  const { items, of } = head[side];
  const places = [...new Set(indices(tokens, side).map((cell) => of[cell]))].filter((place) => !items[place].isHidden);
  const cells = places.map((place) => isFrom() ? [focus, place] : [place, focus]);
  const seen = cells.filter((cell) => head.isSeen(...cell));
  if (!seen.length) return cells.some((cell) => head.isEmpty(...cell)) ? undefined : null;
  const sum = seen.reduce((total, cell) => total + head.weight(...cell), 0);
  return isFrom() ? sum : sum / seen.length;
}

function drawText([head]) {
  if (shown.kind !== state.kind) rebuild();
  const scale = scaleOf(head);
  const [chosenSide, shadedSide] = sidesShown();
  const { of } = head[chosenSide];
  const focus = of[focusOf()];
  for (const { piece, tokens, side } of shown.pieces) {
    const isOn = (name) => shown.isOne || name === side;
    shade(piece, isOn(shadedSide) ? weightOfPiece(head, tokens, focus) : 0, scale);
    const isChosen = isOn(chosenSide) && indices(tokens, chosenSide).some((cell) => of[cell] === focus);
    if (isChosen && !state.hover) reach(piece);
    if (piece.classList.contains("chosen") !== isChosen) set(piece, { "aria-selected": isChosen });
    toggle(piece, "chosen", isChosen);
  }
}

/** Let the Tab key reach this piece, and scroll to it. */
function reach(piece) {
  const before = find("[tabindex='0']", piece.parentElement);
  before.tabIndex = -1;
  piece.tabIndex = 0;
  if (before === document.activeElement) piece.focus({ preventScroll: true });
  requestAnimationFrame(() => piece.parentElement && reveal(piece)); // asking for its place now would force a layout
}

/** Choose the token, or the word, before or after the one that has the focus. */
export function stepInText(piece, by) {
  const holder = piece.parentElement;
  const pieces = every("[data-token]", holder);
  const turned = getComputedStyle(holder).direction === "rtl" ? -by : by;
  let next = pieces.indexOf(piece) + turned;
  while (pieces[next]?.classList.contains("chosen")) next += turned;
  pieces[next]?.click();
  pieces[next]?.focus(); // at once: the next key may come before the page is drawn
}

/** Scroll the text, not the page, so that the piece is seen. */
function reveal(piece) {
  const holder = piece.parentElement;
  const [inner, outer] = [piece, holder].map(boxOf);
  if (inner.top < outer.top) holder.scrollTop -= outer.top - inner.top + 8;
  if (inner.bottom > outer.bottom) holder.scrollTop += inner.bottom - outer.bottom + 8;
}

function shade(piece, weight, scale) {
  const [part, theme] = [weight ? partOf(weight, scale) : 0, themeOf()];
  toggle(piece, "masked", weight === null);
  toggle(piece, "empty", weight === undefined);
  piece.style.backgroundColor = part ? colour(part, theme) : "";
  piece.style.color = part > 0.05 ? ink(part, theme) : "";
}

/** The token under the pointer; in a text of its own its side is fixed, else it is the one that has a focus. */
function under({ target, currentTarget }) {
  const { token } = target.dataset;
  if (token === undefined) return null;
  const isQuery = shown.isOne ? isFrom() : currentTarget.id === "text";
  return { isQuery, index: indices([Number(token)], isQuery ? "queries" : "keys")[0] };
}

for (const id of ["text", "other-text"]) {
  const choose = ({ isQuery, index }) => change(chosenBy(isQuery, index));
  const hover = (token) => {
    const { query, key } = state;
    const isFocus = token?.isQuery === isFrom();
    change({ hover: isFocus ? { query, key, [token.isQuery ? "query" : "key"]: token.index } : null });
  };
  onPointer(element(id), under, choose, hover);
}
onHeads(drawText);
