// What is shown: one object, its listeners, and the fragment of the address that shows the same again.
import { about, clamp } from "./page.js";
import { sizeOf } from "./heads.js";

export const THUMBNAILS = "matrices";

/** A metric for the second axis: any but the one that the map begins with. */
function anotherMetric({ metric, metrics }) {
  return Object.keys(metrics).find((name) => name !== metric) ?? metric;
}

// `direction`: "from" shades what the query looks at, "to" who looks at the key; `query` and `key` are rows and
// columns as stored; `hide`: the keys that are hidden; `pinned`: a head to compare with; `all`: the whole list; `x`
// and `y`: the first column and row that are seen; `hover`: under the pointer. All but that is in the address, by
// its type here.
export const state = {
  direction: "from",
  view: "matrix",
  scale: "common",
  overview: "map",
  hide: [],
  renormalize: false,
  ...about.begin,
  metric: about.kinds[0].metric,
  theme: "",
  all: false,
  zoom: 1,
  x: 0,
  y: 0,
  hover: null,
  words: false,
  pinned: null,
  across: anotherMetric(about.kinds[0]),
  pattern: "",
  whole: -1,
};
const first = { ...state };
const FINE = ["query", "key", "zoom", "x", "y", "theme"]; // parts that make no new step of the history

const CHOICES = { direction: ["from", "to"], view: ["matrix", "lines"], scale: ["common", "head", "log"], overview: ["map", "scatter", "list"] };
const views = [];
let frame = 0;
let writing = 0;
let step = "";

/** Draw `view` whenever the state has changed, at most once a frame, and when its element gets another size. */
export function onChange(view, box) {
  views.push(view);
  if (box) new ResizeObserver(view).observe(box);
}

/** Change a part of the state; values out of range are brought back into it. */
export function change(part) {
  Object.assign(state, part);
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

const within = (number, count) => clamp(Number.isInteger(number) ? number : 0, 0, count - 1);

function settle() {
  state.kind = within(state.kind, about.kinds.length);
  const { layers, heads, metrics, metric } = about.kinds[state.kind];
  const [rows, columns] = sizeOf(state.kind);
  if (!layers.includes(state.layer)) state.layer = layers[0];
  state.head = within(state.head, heads);
  state.query = within(state.query < 0 ? rows - 1 : state.query, rows);
  state.key = within(state.key, columns);
  if (state.metric !== THUMBNAILS && !(state.metric in metrics)) state.metric = metric;
  if (state.theme !== "dark" && state.theme !== "light") state.theme = "";
  state.zoom = clamp(state.zoom || 1, 1, 1000);
  [state.x, state.y] = [state.x || 0, state.y || 0];
  if (!(state.across in metrics)) state.across = anotherMetric(about.kinds[state.kind]);
  for (const [name, choices] of Object.entries(CHOICES)) if (!choices.includes(state[name])) [state[name]] = choices;
  if (!layers.includes(state.pinned?.layer) || state.pinned.head !== within(state.pinned.head, heads)) state.pinned = null;
  state.hide = [...new Set(state.hide)].filter((key) => key < columns).sort((one, other) => one - other);
  if (!mayMerge() || state.hide.length === columns) state.hide = [];
  state.words &&= haveWords();
}

export const isAt = (place, other) => place.layer === other?.layer && place.head === other.head;

/** The metric of the map, or the first one if thumbnails are shown. */
export const metricShown = () => (state.metric === THUMBNAILS ? about.kinds[state.kind].metric : state.metric);

/** Whether every weight is kept: those of blocks cannot be summed. */
export const mayMerge = () => about.kinds[state.kind].cells.every((size) => size === 1);

/** Whether tokens can be merged into words. */
export function haveWords() {
  const { queries, keys } = about.kinds[state.kind];
  return mayMerge() && [queries, keys].every((text) => about.texts[text].words);
}

/** The row or column that views are about: under the pointer, else the chosen one. */
export const focusOf = () =>
  state.direction === "from" ? (state.hover?.query ?? state.query) : (state.hover?.key ?? state.key);

/** Numbers, truth values, words, lists of numbers and places (or null) as text. */
function asText(value) {
  if (typeof value === "number") return `${Number(value.toFixed(2))}`;
  return value === null ? "" : value.head === undefined ? `${value}` : `${value.layer}.${value.head}`;
}

/** A text as a value of the same type as another. */
function asValue(text, like) {
  if (typeof like === "number") return Number(text);
  if (typeof like === "boolean") return text === "true";
  if (Array.isArray(like)) return (text.match(/\d+/g) ?? []).map(Number);
  return typeof like === "string" ? text : placeIn(text);
}

function placeIn(text) {
  const [, layer, head] = /^(\d+)\.(\d+)$/.exec(text) ?? [];
  return head === undefined ? null : { layer: Number(layer), head: Number(head) };
}

/** The fragment that shows the same again: the cell, and what differs from how the page begins. */
export function addressOf(leftOut = []) {
  const { kind, layer, head, hover, ...others } = state;
  const parts = new URLSearchParams({ head: `${layer}.${head}`, kind: about.kinds[kind].kind });
  for (const [name, value] of Object.entries(others)) {
    const isGiven = name === "query" || name === "key" || asText(value) !== asText(first[name]);
    if (isGiven && !leftOut.includes(name)) parts.set(name, asText(value));
  }
  return `#${parts}`;
}

/** Another head or another view is a step that "back" undoes. */
function writeAddress() {
  if (location.protocol === "about:") return; // a frame in a notebook has no address
  const [before, address] = [step, addressOf()];
  step = addressOf(FINE);
  if (address !== location.hash) history[before === step ? "replaceState" : "pushState"](null, "", address);
}

/** Show what the fragment of the address names. */
export function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const given = { ...first, theme: state.theme, ...placeIn(parts.get("head")) };
  const kind = about.kinds.findIndex((one) => one.kind === parts.get("kind"));
  if (kind >= 0) given.kind = kind;
  for (const [name, text] of parts) {
    if (Object.hasOwn(first, name) && !["kind", "layer", "head", "hover"].includes(name)) given[name] = asValue(text, first[name]);
  }
  change(given);
  step = addressOf(FINE);
}
