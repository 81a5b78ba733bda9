// What is shown: one object, its listeners, and the fragment of the address that shows the same again.
import { about } from "./page.js";
import { sizeOf } from "./heads.js";

export const THUMBNAILS = "matrices";

/** `direction`: "from" shades what the query looks at, "to" who looks at the key. `hover`: under the pointer. */
export const state = {
  ...about.begin,
  direction: "from",
  metric: about.kinds[0].metric,
  theme: "",
  hover: null,
};

const views = [];
let frame = 0;
let writing = 0;

/** Draw `view` now and whenever the state has changed, at most once a frame. */
export function onChange(view) {
  views.push(view);
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

const within = (number, count) => Math.min(Math.max(Number.isInteger(number) ? number : 0, 0), count - 1);

function settle() {
  state.kind = within(state.kind, about.kinds.length);
  const { layers, heads, metrics, metric } = about.kinds[state.kind];
  const [rows, columns] = sizeOf(state.kind);
  if (!layers.includes(state.layer)) state.layer = layers[0];
  state.head = within(state.head, heads);
  state.query = within(state.query < 0 ? rows - 1 : state.query, rows);
  state.key = within(state.key, columns);
  if (state.metric !== THUMBNAILS && !(state.metric in metrics)) state.metric = metric;
  if (state.direction !== "to") state.direction = "from";
}

/** The row or column that views are about: under the pointer, else the chosen one. */
export const focusOf = () =>
  state.direction === "from" ? (state.hover?.query ?? state.query) : (state.hover?.key ?? state.key);

function writeAddress() {
  const { kind, layer, head, query, key, direction, metric } = state;
  const parts = { head: `${layer}.${head}`, kind: about.kinds[kind].kind, query, key, direction, metric };
  history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
}

/** Show what the fragment of the address names. */
export function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const given = {};
  const [layer, head] = (parts.get("head") ?? "").split(".").map(Number);
  if (Number.isInteger(layer) && Number.isInteger(head)) Object.assign(given, { layer, head });
  const kind = about.kinds.findIndex((one) => one.kind === parts.get("kind"));
  if (kind >= 0) given.kind = kind;
  for (const name of ["query", "key"]) if (parts.has(name)) given[name] = Number(parts.get(name));
  for (const name of ["direction", "metric"]) if (parts.has(name)) given[name] = parts.get(name);
  change(given);
}
