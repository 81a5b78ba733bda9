// What is shown: one object, its listeners, and the fragment of the address that shows the same again.
import { about, clamp } from "./page.js";
import { sizeOf } from "./heads.js";

export const THUMBNAILS = "matrices";

/** `direction`: "from" shades what the query looks at, "to" who looks at the key. `hover`: under the pointer.
 * `query` and `key` are rows and columns as stored; `hide`: the keys that are hidden; `pinned`: a head to compare with. */
export const state = {
  ...about.begin,
  metric: about.kinds[0].metric,
  theme: "",
  hover: null,
  words: false,
  pinned: null,
  across: about.kinds[0].metric,
  pattern: "",
};

const CHOICES = { direction: ["from", "to"], view: ["matrix", "lines"], scale: ["common", "head", "log"], overview: ["map", "scatter", "list"] };
const LINKED = [...Object.keys(CHOICES), "query", "key", "metric", "words", "renormalize", "across", "pattern"];
const views = [];
let frame = 0;
let writing = 0;

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
  writing = setTimeout(writeAddress, 250);
}

function drawAll() {
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
  if (!(state.across in metrics)) state.across = metric;
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

function writeAddress() {
  const { kind, layer, head, pinned } = state;
  const parts = { head: `${layer}.${head}`, kind: about.kinds[kind].kind, hide: state.hide.join() };
  if (pinned) parts.pinned = `${pinned.layer}.${pinned.head}`;
  for (const name of LINKED) parts[name] = state[name];
  history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
}

/** Show what the fragment of the address names. */
export function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const given = { ...placeIn(parts.get("head")), pinned: placeIn(parts.get("pinned")) };
  const kind = about.kinds.findIndex((one) => one.kind === parts.get("kind"));
  if (kind >= 0) given.kind = kind;
  if (parts.has("hide")) given.hide = (parts.get("hide").match(/\d+/g) ?? []).map(Number);
  for (const name of LINKED.filter((one) => parts.has(one))) given[name] = likewise(parts.get(name), state[name]);
  change(given);
}

/** A text as a value of the same type. */
const likewise = (text, value) => (typeof value === "number" ? Number(text) : typeof value === "boolean" ? text === "true" : text);

function placeIn(text) {
  const [layer, head] = (text ?? "").split(".").map(Number);
  return text && Number.isInteger(layer) && Number.isInteger(head) ? { layer, head } : null;
}
