// A head as it is shown: between tokens or words, its hidden keys as one column, rows divided by what is left.
import { about, abs, isAt, kept, max, min, range, shortName, textOf } from "./page.js";
import { headAt, headAtHand } from "./heads.js";
import { labelOf } from "./numbers.js";
import { change, onChange, state } from "./state.js";

const MOST_SHOWN = 4;
const EMPTY = 2; // in `seen`: of a row of which too little is left to divide
const keptShown = new Map();
let difference = {};

/** The places of the heads that are looked at: the chosen one, and the pinned one if it is another. */
export function placesShown() {
  const { kind, layer, head, pinned } = state;
  return [{ kind, layer, head }, ...(pinned && !isAt(state, pinned) ? [{ kind, ...pinned }] : [])];
}

/** The head that is looked at, as it is shown; with a pinned one that too, and their difference.
 * Undefined until they are at hand. */
export function headsShown() {
  const heads = placesShown().map(headAtHand);
  if (heads.includes(undefined)) return;
  const [one, other] = heads.map(shownOf);
  if (!other) return [one];
  if (difference.one !== one || difference.other !== other) difference = { one, other, heads: compared(one, other) };
  return difference.heads;
}

/** Draw `view` of the heads that are looked at, whenever the state has changed and they are at hand. */
export function onHeads(view, box) {
  onChange(() => {
    const heads = headsShown();
    if (heads) view(heads);
  }, box);
}

/** The first of them. */
export const headShown = () => headsShown()?.[0];

/** The row and the column of a cell as stored: the one under the pointer, else the chosen one. */
export const spot = (head, { query, key } = state.hover ?? state) => ({ row: head.queries.of[query], column: head.keys.of[key] });

/** Fetch those that are not at hand. */
onChange(() => {
  for (const place of placesShown()) if (!headAtHand(place)) headAt(place).then(() => change({}));
});

function shownOf(head) {
  const { kind, layer, head: number } = head.place;
  const name = JSON.stringify([kind, layer, number, state.words, state.hide, state.renormalize]);
  if (keptShown.size >= MOST_SHOWN && !keptShown.has(name)) keptShown.clear();
  return kept(keptShown, name, () => merged(head, sideOf(kind, "queries", head.rows), sideOf(kind, "keys", head.columns)));
}

/** Rows or columns as they are shown: each with its label and its cells; `of` tells where a cell is shown. */
function sideOf(kind, side, count) {
  const words = new Map();
  if (state.words) for (const [label, ...cells] of textOf(kind, side).words) words.set(cells[0], { label, cells });
  const of = new Int32Array(count).fill(-1);
  const hidden = side === "keys" ? state.hide : [];
  const items = [];
  const add = (item) => {
    for (const cell of item.cells) of[cell] = items.length;
    items.push(item);
  };
  const all = { label: "", position: "", cells: [], isHidden: true };
  for (const cell of range(count)) {
    if (of[cell] >= 0 || all.cells.includes(cell)) continue;
    const item = { ...labelOf(kind, side, cell), cells: [cell], ...words.get(cell) };
    if (item.cells.some((one) => hidden.includes(one))) all.cells.push(...item.cells);
    else add(item);
  }
  if (all.cells.length) add({ ...all, label: `hidden: ${all.cells.length === 1 ? labelOf(kind, side, all.cells[0]).label : all.cells.length}` });
  return { items, of };
}

/** Weight to a word is the sum over its tokens, from a word the mean over those that may look anywhere. */
function merged(head, rows, columns) {
  const [high, wide] = [rows.items.length, columns.items.length];
  const [values, seen] = [new Float32Array(high * wide), new Uint8Array(high * wide)];
  const [counted, sink] = [new Uint16Array(high), head.sink && new Float64Array(high)];
  for (const query of range(head.rows)) {
    let looks = head.sink;
    const row = rows.of[query];
    for (let key = 0; key < head.columns; key += 1) {
      const cell = query * head.columns + key;
      if (!head.seen[cell]) continue;
      looks = true;
      const to = row * wide + columns.of[key];
      seen[to] = 1;
      values[to] += head.values[cell] * head.unit;
    }
    if (looks) counted[row] += 1;
    if (sink) sink[row] += head.sink[query];
  }
  for (const row of range(high)) {
    const count = max(counted[row], 1);
    if (count > 1) for (let column = 0; column < wide; column += 1) values[row * wide + column] /= count;
    if (sink) sink[row] /= count;
  }
  const shown = withWeights({ ...head, rows: high, columns: wide, seen, values, sink, queries: rows, keys: columns });
  const each = head.isExact ? 0 : about.error;
  shown.error = (row, column) => min(1, each * columns.items[column].cells.length);
  return state.renormalize && columns.items[wide - 1].isHidden ? divided(shown, each) : shown;
}

/** With the largest weight as well, of tokens that may look at several, and its cell. */
function withWeights(shown) {
  const { rows, columns, values, seen, keys } = shown;
  const shownKeys = columns - (keys.items[columns - 1].isHidden ? 1 : 0);
  let [largest, strongest] = [0, 0];
  for (const row of range(rows)) {
    const [first, seenKeys] = [row * columns, seen.subarray(row * columns, (row + 1) * columns)];
    if (seenKeys.indexOf(1) === seenKeys.lastIndexOf(1)) continue;
    for (let cell = first; cell < first + shownKeys; cell += 1) if (abs(values[cell]) > largest) [largest, strongest] = [abs(values[cell]), cell];
  }
  const weight = (row, column) => values[row * columns + column];
  const is = (what) => (row, column) => seen[row * columns + column] === what;
  return { ...shown, largest, strongest, weight, isSeen: is(1), isEmpty: is(EMPTY) };
}

/** Rows divided by what hidden keys and a sink leave; `EMPTY` where that may be nothing. */
function divided(whole, each) {
  const { rows, columns, sink, weight } = whole;
  const hidden = columns - 1;
  const [values, seen] = [whole.values.slice(), whole.seen.slice()];
  const unsure = each * (whole.keys.items[hidden].cells.length + (sink ? 1 : 0)) + 1e-6; // float32
  const left = range(rows).map((row) => 1 - weight(row, hidden) - (sink?.[row] ?? 0));
  for (const row of range(rows)) {
    for (let cell = row * columns; cell < row * columns + hidden; cell += 1) {
      if (left[row] > unsure) values[cell] = min(1, values[cell] / left[row]);
      else [values[cell], seen[cell]] = [0, seen[cell] && EMPTY];
    }
  }
  const shown = withWeights({ ...whole, values, seen, isDivided: true });
  shown.error = (row, column) => {
    const own = whole.error(row, column);
    return column === hidden ? own : min(1, (own + unsure * shown.weight(row, column)) / (left[row] - unsure));
  };
  return shown;
}

/** Two heads with their names, and how much more weight the first one gives: from -1 to 1. */
function compared(one, other) {
  const values = one.values.map((value, cell) => value - other.values[cell]);
  const seen = one.seen.map((isSeen, cell) => max(isSeen, other.seen[cell]));
  const sink = (one.sink || other.sink) && range(one.rows).map((row) => (one.sink?.[row] ?? 0) - (other.sink?.[row] ?? 0));
  const shown = withWeights({ ...one, isSigned: true, values, seen, sink });
  shown.isExact = one.isExact && other.isExact;
  shown.error = (row, column) => one.error(row, column) + other.error(row, column);
  const names = [one, other].map(({ place }) => shortName(place));
  return [one, other, shown].map((head, index) => ({ ...head, name: [...names, names.join(" − ")][index] }));
}
