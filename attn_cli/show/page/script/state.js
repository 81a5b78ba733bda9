// What is shown: one object, its listeners, and the fragment of the address that shows the same again.
import { about, assign, clamp, entries, hasOwn, shortName, SIDES, textOf } from "./page.js";
import { sizeOf } from "./heads.js";

export const THUMBNAILS = "matrices";

/** A metric for the second axis: any but the one that the map begins with. */
const anotherMetric = ({ metric, metrics }) => Object.keys(metrics).find((name) => name !== metric) ?? metric;

// `direction`: "from" shades what the query looks at, "to" who looks at the key; `query` and `key` are rows and
// columns as stored; `hide`: the keys that are hidden; `pinned`: a head to compare with; `all`: the whole list; `x`
// and `y`: the first column and row that are seen; `hover`: under the pointer. All but that is in the address, by
// its type here.
export const state = { ...about.begin, metric: about.kinds[0].metric, across: anotherMetric(about.kinds[0]), hover: null };
const first = { ...state };
const FINE = ["query", "key", "zoom", "x", "y", "theme"]; // parts that make no new step of the history

const views = [];
let frame = 1; // as if one were asked for: `main.js` draws the first
let writing = 0;
let lastStep = "";

/** Draw `view` whenever the state has changed, at most once a frame, and when its element gets another size. */
export function onChange(view, box) {
  views.push(view);
  if (box) new ResizeObserver(view).observe(box);
}

/** Change a part of the state; values out of range are brought back into it. */
export function change(part) {
  assign(state, part);
  settle();
  frame ||= requestAnimationFrame(drawAll);
  clearTimeout(writing);
  writing = setTimeout(writeAddress, 400); // browsers allow 100 in 30 seconds
}

/** Draw all views at once. */
export function drawAll() {
  frame = 0;
  for (const view of views) view(state);
}

const inRange = (number, count) => clamp(Number.isInteger(number) ? number : 0, 0, count - 1);

function settle() {
  state.kind = inRange(state.kind, about.kinds.length);
  const { layers, heads, metrics, metric } = kindShown();
  const [rows, columns] = sizeOf(state.kind);
  if (!layers.includes(state.layer)) state.layer = layers[0];
  state.head = inRange(state.head, heads);
  state.query = inRange(state.query < 0 ? rows - 1 : state.query, rows);
  state.key = inRange(state.key, columns);
  if (!areThumbnails() && !(state.metric in metrics)) state.metric = metric;
  state.zoom = clamp(state.zoom || 1, 1, 1000);
  [state.x, state.y] = [state.x || 0, state.y || 0];
  if (!(state.across in metrics)) state.across = anotherMetric(kindShown());
  for (const [name, choices] of entries(about.choices)) if (!choices.includes(state[name])) [state[name]] = choices;
  if (!layers.includes(state.pinned?.layer) || state.pinned.head !== inRange(state.pinned.head, heads)) state.pinned = null;
  state.hide = [...new Set(state.hide)].filter((key) => key < columns).sort((one, other) => one - other);
  if (!mayMerge() || state.hide.length === columns) state.hide = [];
  state.words &&= haveWords();
}

export const kindShown = () => about.kinds[state.kind];

/** Whether the map shows each head's matrix, and no metric. */
export const areThumbnails = () => state.metric === THUMBNAILS;

/** The metric of the map, or the first one if thumbnails are shown. */
export const metricShown = () => areThumbnails() ? kindShown().metric : state.metric;

/** Whether every weight is kept: those of blocks cannot be summed. */
export const mayMerge = () => kindShown().cells.every((size) => size === 1);

/** Whether tokens can be merged into words. */
export const haveWords = () => mayMerge() && SIDES.every((side) => textOf(state.kind, side).words);

/** Whether views are about what the chosen query looks at, not about who looks at the chosen key. */
export const isFrom = () => state.direction === "from";

/** The side of the chosen token in a head, and the other one. */
export const sidesShown = () => isFrom() ? SIDES : SIDES.toReversed();

/** The row or column that views are about: under the pointer, else the chosen one. */
export function focusOf() {
  const name = isFrom() ? "query" : "key";
  return state.hover?.[name] ?? state[name];
}

/** The part of the state that chooses a token of one side. */
export const chosenBy = (isQuery, token) => ({ [isQuery ? "query" : "key"]: token, direction: isQuery ? "from" : "to", hover: null });

/** Numbers, truth values, words, lists of numbers and places (or null) as text. */
function asText(value) {
  if (typeof value === "number") return `${Number(value.toFixed(2))}`;
  return value === null ? "" : value.head === undefined ? `${value}` : shortName(value);
}

/** A text as a value of the same type as another. */
function asValue(text, like) {
  if (typeof like === "number") return Number(text);
  if (typeof like === "boolean") return text === "true";
  if (Array.isArray(like)) return (text.match(/\d+/g) ?? []).map(Number);
  return typeof like === "string" ? text : placeIn(text);
}

/** The place of a head with this name; null if it is none. */
export function placeIn(text) {
  const [, layer, head] = /^(\d+)\.(\d+)$/.exec(text) ?? [];
  return head === undefined ? null : { layer: Number(layer), head: Number(head) };
}

/** The fragment that shows the same again: the cell, and what differs from how the page begins. */
export function addressOf(leftOut = []) {
  const { kind, layer, head, hover, ...others } = state;
  const parts = new URLSearchParams({ head: shortName(state), kind: about.kinds[kind].kind });
  for (const [name, value] of entries(others)) {
    const isGiven = name === "query" || name === "key" || asText(value) !== asText(first[name]);
    if (isGiven && !leftOut.includes(name)) parts.set(name, asText(value));
  }
  return `#${parts}`;
}

/** Another head or another view is a step that "back" undoes; a frame in a notebook has no address. */
function writeAddress() {
  const before = lastStep;
  lastStep = addressOf(FINE);
  const way = before === lastStep ? "replaceState" : "pushState";
  if (location.protocol !== "about:") history[way](null, "", addressOf());
}

/** Show what the fragment of the address names. */
export function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const given = { ...first, theme: state.theme, ...placeIn(parts.get("head")) };
  const kind = about.kinds.findIndex((one) => one.kind === parts.get("kind"));
  if (kind >= 0) given.kind = kind;
  for (const [name, text] of parts) {
    if (hasOwn(first, name) && !["kind", "layer", "head", "hover"].includes(name)) given[name] = asValue(text, first[name]);
  }
  change(given);
  clearTimeout(writing); // what is written later would replace where "back" has led by then
  lastStep = addressOf(FINE);
  writeAddress();
}
