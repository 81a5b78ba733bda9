// The chosen cell step by step, as `attn explain` has it, of heads whose steps the page has in full.
import { element, make } from "../page.js";
import { exactOf, stepsOf } from "../heads.js";
import { onChange, state } from "../state.js";
import { labelOf, named, numberText } from "../numbers.js";

let held = { name: "", steps: null }; // of the head that was asked for last

function heldSteps(place) {
  const name = `${place.kind}.${place.layer}.${place.head}`;
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
  const at = (step) => (masked || !steps[step] ? null : steps[step][cell]);
  const score = masked && features ? dot * scale : at("scores");
  const ofSink = [sink?.logit].flat();
  const softmax = steps.logits ? softmaxOf(steps, query * columns, ofSink[query] ?? ofSink[0]) : {};
  const { largest = null, total = null } = softmax;
  return {
    query, key, scale, features, dot, score, masked, largest, total,
    softcapped: softcap === null || score === null ? null : softcap * Math.tanh(score / softcap),
    bias: at("bias"),
    logit: at("logits"),
    exponential: masked ? 0 : softmax.powers?.[key] ?? null,
    sink: sink && { logit: ofSink[query] ?? ofSink[0] ?? null, exponential: softmax.ofSink ?? null, weight: sink.weight[query] },
    weight: at("weights") ?? 0,
  };
}

/** The products of the features of the query and the key; null if these are not known. */
function productsOf({ queries, keys, size }, query, key) {
  if (!queries || !keys) return null;
  return Array.from({ length: size }, (_, feature) => {
    const [one, other] = [queries[query * size + feature], keys[key * size + feature]];
    return { feature, query: one, key: other, product: one * other };
  });
}

/** exp(logit − largest) of the visible keys of a row that begins at this cell, and their sum. */
function softmaxOf({ logits, seen, columns }, first, sinkLogit) {
  const keys = Array.from({ length: columns }, (_, key) => key).filter((key) => seen[first + key]);
  const hasSink = typeof sinkLogit === "number";
  const all = keys.map((key) => logits[first + key]).concat(hasSink ? sinkLogit : []);
  const largest = all.length ? Math.max(...all) : 0;
  const power = (logit) => Math.fround(Math.exp(Math.fround(logit - largest)));
  const powers = Object.fromEntries(keys.map((key) => [key, power(logits[first + key])]));
  return { largest, powers, total: all.reduce((sum, logit) => sum + power(logit), 0), ofSink: hasSink ? power(sinkLogit) : null };
}

function linesOf(cell) {
  const { softcap } = exactOf(state);
  const lines = [
    ["q · k", cell.dot],
    ["× scale", cell.scale],
    ["score", cell.score],
    [`soft cap ${softcap}`, cell.softcapped],
    ["+ bias", cell.bias],
    ["mask", cell.masked ? "masked" : "visible"],
    ["logit", cell.masked ? "−∞" : cell.logit],
    ["largest of the row", cell.largest],
    ["exp(logit − largest)", cell.exponential],
    ["exp of the sink", cell.sink?.exponential ?? null],
    ["sum of the row", cell.total],
    ["weight = exp ÷ sum", cell.weight],
  ];
  return lines.filter(([, number]) => number !== null);
}

const lineOf = ([name, ...numbers]) => {
  const line = make("tr");
  const cells = numbers.map((number) => make("td", typeof number === "number" ? numberText(number) : number, "number"));
  line.append(Object.assign(make("th", name, "label"), { scope: "row" }), ...cells);
  return line;
};

async function draw() {
  const exact = exactOf(state);
  element("cell").hidden = !exact;
  if (!exact) return;
  const { kind, layer, head, query, key } = state;
  const cell = await cellAt({ kind, layer, head, query, key });
  if (kind !== state.kind || layer !== state.layer || head !== state.head || query !== state.query || key !== state.key) return;
  element("cell-title").textContent = `${named(labelOf(kind, "queries", query))} → ${named(labelOf(kind, "keys", key))}`;
  element("cell-steps").replaceChildren(...linesOf(cell).map(lineOf));
  const products = (cell.features ?? []).map((one) => lineOf([one.feature, one.query, one.key, one.product]));
  element("cell-products").replaceChildren(...products);
  element("cell-features").hidden = !products.length;
  element("cell-absent").textContent = absentOf(exact);
}

/** Which steps are not known, and why; a layer that adds no bias lacks nothing. */
const absentOf = ({ absent, steps }) =>
  Object.entries(absent).filter(([step]) => step !== "bias" || !steps.scores).map(([step, why]) => `No ${step}: ${why}.`).join(" ");

export const startCell = () => onChange(draw);
