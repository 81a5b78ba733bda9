// The chosen cell step by step, as `attn explain` has it, of heads whose steps the page has in full.
import { element, entries, fill, make, max, range, write } from "../page.js";
import { exactOf, nameOf, stepsOf } from "../heads.js";
import { onChange, state } from "../state.js";
import { labelOf, named, numberText } from "../numbers.js";
import { nameCell, numberCell } from "../lists.js";

let held = { name: "", steps: null }; // of the head that was asked for last

function heldSteps(place) {
  const name = nameOf(place);
  if (held.name !== name) held = { name, steps: stepsOf(place) };
  return held.steps;
}

/** The arithmetic of one weight, named as in the JSON of `attn explain`; what is not known is null. */
export async function cellAt({ query, key, ...place }) {
  const [{ scale, softcap, sink }, steps] = [exactOf(place), await heldSteps(place)];
  const [columns, cell] = [steps.columns, query * steps.columns + key];
  const masked = !steps.seen[cell];
  const features = productsOf(steps, query, key);
  const dot = features && features.reduce((sum, { product }) => sum + product, 0);
  const at = (step) => masked || !steps[step] ? null : steps[step][cell];
  const score = masked && features ? dot * scale : at("scores");
  const ofSinks = [sink?.logit].flat();
  const sinkLogit = ofSinks[query] ?? ofSinks[0];
  const softmax = steps.logits ? softmaxOf(steps, query * columns, sinkLogit) : {};
  const { largest = null, total = null } = softmax;
  return {
    query, key, scale, features, dot, score, masked, largest, total,
    softcapped: softcap === null || score === null ? null : softcap * Math.tanh(score / softcap),
    bias: at("bias"),
    logit: at("logits"),
    exponential: masked ? 0 : softmax.power?.(at("logits")) ?? null,
    sink: sink && { logit: sinkLogit ?? null, exponential: softmax.ofSink ?? null, weight: sink.weight[query] },
    weight: at("weights") ?? 0,
  };
}

/** The products of the features of the query and the key; null if these are not known. */
function productsOf({ queries, keys, size }, query, key) {
  if (!queries || !keys) return null;
  return range(size).map((feature) => {
    const [one, other] = [queries[query * size + feature], keys[key * size + feature]];
    return { feature, query: one, key: other, product: one * other };
  });
}

/** The largest logit of a row that begins at this cell, and the sum of its powers: exp(logit − largest). */
function softmaxOf({ logits, seen, columns }, first, sinkLogit) {
  const hasSink = typeof sinkLogit === "number";
  const all = [...logits.subarray(first, first + columns)].filter((_, key) => seen[first + key]).concat(hasSink ? sinkLogit : []);
  const largest = all.length ? max(...all) : 0;
  const power = (logit) => Math.fround(Math.exp(Math.fround(logit - largest)));
  return { largest, power, total: all.reduce((sum, logit) => sum + power(logit), 0), ofSink: hasSink ? power(sinkLogit) : null };
}

/** Each step that is known, in its line. */
function fillSteps(cell) {
  const texts = { mask: cell.masked ? "masked" : "visible", ofSink: cell.sink?.exponential, ...(cell.masked && { logit: "−∞" }) };
  for (const line of element("cell-steps").rows) {
    const value = { ...cell, ...texts }[line.dataset.step] ?? null;
    line.hidden = value === null;
    line.lastElementChild.textContent = typeof value === "number" ? numberText(value) : value;
  }
}

async function drawCell() {
  const exact = exactOf(state);
  element("cell").hidden = !exact;
  if (!exact) return;
  const { kind, layer, head, query, key } = state;
  const asked = { kind, layer, head, query, key };
  const cell = await cellAt(asked);
  if (entries(asked).some(([name, value]) => value !== state[name])) return; // another one was chosen meanwhile
  write("cell-title", `${named(labelOf(kind, "queries", query))} → ${named(labelOf(kind, "keys", key))}`);
  write("cell-softcap", exact.softcap);
  fillSteps(cell);
  const products = cell.features ?? [];
  fill("cell-products", products.map(({ feature, ...numbers }) => make("tr", "", nameCell(feature), ...Object.values(numbers).map((number) => numberCell(numberText(number))))));
  element("cell-features").hidden = !cell.features;
  write("cell-absent", exact.lacks);
}

onChange(drawCell);
