// The weights of heads: which cells are visible, and the number in each; kept for the last heads asked for.
import { about, blockOf, ceil, floor, isAt, kept, range, SIDES, textOf } from "./page.js";
import { inflate, inflateExact } from "./entries.js";

const MOST_CELLS = 32 << 20; // of matrices
const most = 2 ** about.bits - 1;
const heads = new Map();
const masks = new Map();

/** T and S: how many rows and columns the matrices of a kind have. */
export const sizeOf = (kind) => SIDES.map((side) => ceil(textOf(kind, side).labels.length / blockOf(kind, side)));

/** `seen` (T × S): 1 where the query may look; `cells`: the indices of these, column after column. */
export function maskOf({ kind, layer }) {
  const { masks: entries, layers } = about.kinds[kind];
  const entry = entries[layers.indexOf(layer)];
  return kept(masks, entry, () => inflate(entry).then((bits) => unpackMask(bits, ...sizeOf(kind))));
}

function unpackMask(bits, rows, columns) {
  const size = rows * columns;
  const [seen, cells] = [new Uint8Array(size), new Uint32Array(size)];
  let count = 0;
  for (let index = 0; index < size; index += 1) {
    if ((bits[index >> 3] >> (7 - (index & 7))) & 1) {
      const cell = (index % rows) * columns + floor(index / rows);
      seen[cell] = 1;
      cells[count++] = cell;
    }
  }
  return { seen, cells: cells.slice(0, count) };
}

/** The levels of the visible cells and of the sink, as stored: `round(weight * most)`. */
export async function levelsOf(place) {
  const bytes = await inflate(about.kinds[place.kind].first + indexOf(place));
  if (about.bits === 8) return bytes;
  const levels = new Uint16Array(floor((bytes.length * 2) / 3));
  for (let index = 0; index < levels.length; index += 1) {
    const pair = bytes[levels.length + (index >> 1)];
    levels[index] = (bytes[index] << 4) | (index & 1 ? pair & 15 : pair >> 4);
  }
  return levels;
}

export const nameOf = ({ kind, layer, head }) => `${kind}.${layer}.${head}`;

/** The head if it is at hand, else undefined. */
export const headAtHand = (place) => heads.get(nameOf(place))?.ready;

/** The head at this place: T × S `values`, of which each times `unit` is a weight, and where it may look. */
export function headAt(place) {
  const name = nameOf(place);
  const held = kept(heads, name, () => ({}));
  forgetOthers(name, sizeOf(place.kind));
  return (held.promise ??= readHead(place).then((head) => (held.ready = head)));
}

async function readHead(place) {
  const [rows, columns] = sizeOf(place.kind);
  const [{ seen, cells }, stored] = await Promise.all([maskOf(place), levelsOf(place)]);
  const { steps, sink } = exactOf(place) ?? {};
  const exact = steps && (await inflateExact(steps.weights[0]));
  const values = spread(exact ?? stored, cells, rows * columns);
  const ofSink = stored.length > cells.length ? Float64Array.from(sink?.weight ?? stored.slice(cells.length), (x) => sink ? x : x / most) : null;
  const unit = exact ? 1 : 1 / most;
  const weight = (row, column) => values[row * columns + column] * unit;
  return { place, rows, columns, seen, values, unit, weight, sink: ofSink, isExact: !!exact };
}

/** The numbers of the visible cells, each in its place of all. */
function spread(numbers, cells, count) {
  const values = new numbers.constructor(count);
  cells.forEach((cell, index) => (values[cell] = numbers[index]));
  return values;
}

/** What the page has of a head in full precision; undefined for most. */
export const exactOf = (place) => about.exact.find((one) => one.kind === about.kinds[place.kind].kind && isAt(one, place));

const OF_PAIRS = ["scores", "bias", "logits", "weights"];

/** The steps of an exact head that lead to its weights: T × S of pairs, T or S × `size` of queries and keys. */
export async function stepsOf(place) {
  const { steps } = exactOf(place);
  const [rows, columns] = sizeOf(place.kind);
  const { seen, cells } = await maskOf(place);
  const found = { rows, columns, seen, size: steps.queries?.[2] };
  const names = [...OF_PAIRS, "queries", "keys"].filter((step) => steps[step]);
  const read = await Promise.all(names.map((step) => inflateExact(steps[step][0])));
  names.forEach((step, index) => (found[step] = OF_PAIRS.includes(step) ? spread(read[index], cells, rows * columns) : read[index]));
  return found;
}

/** Forget heads that were asked for before this one, if they are many. */
function forgetOthers(newest, [rows, columns]) {
  for (const name of heads.keys()) if (name !== newest && heads.size * rows * columns > MOST_CELLS) heads.delete(name);
}

/** The places of all heads of a kind; `row`: the index of the layer. */
export function placesOf(kind) {
  const { layers, heads } = about.kinds[kind];
  return layers.flatMap((layer, row) => range(heads).map((head) => ({ kind, layer, head, row })));
}

/** What a head is known for: its pattern, share, both as text, and what it is measured on; null if nothing stands out. */
export const patternOf = (place) => about.kinds[place.kind].patterns[indexOf(place)];

/** The pattern, its share and the tokens that this is measured on, as text; empty if nothing stands out. */
export function patternText(place) {
  const [, , shown, measuredOn] = patternOf(place) ?? [];
  return shown ? `pattern ${shown} (${measuredOn})` : "";
}

/** What a metric is called beside patterns, which are measured on other tokens. */
export const onThisText = (metric) => `${metric} on this text`;

/** The value of a metric for a head; null if no row counts for it. */
export const metricOf = (place, metric) => about.kinds[place.kind].metrics[metric][indexOf(place)];

/** The number of a head among all of its kind. */
function indexOf({ kind, layer, head }) {
  const { layers, heads } = about.kinds[kind];
  return layers.indexOf(layer) * heads + head;
}
