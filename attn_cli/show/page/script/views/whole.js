// The whole rows that were kept of the chosen head: its weight on every key, in full precision.
import { about, blockOf, element, fill, floor, isAt, isolated, make, on, onClicks, range, textOf } from "../page.js";
import { inflateExact } from "../entries.js";
import { change, onChange, state } from "../state.js";
import { nameCell, numberCell } from "../lists.js";
import { numberText } from "../numbers.js";
import { firstOf, turnAll } from "./row.js";

let wholeShown = "";

const labelsOn = (side) => textOf(state.kind, side).labels;
const rowOf = (position) => floor(position / blockOf(state.kind, "queries"));

/** The query whose row is shown: the chosen one, else one of the chosen row of the matrix, else the first. */
function wholeQuery({ queries }) {
  const here = queries.filter((one) => rowOf(one) === state.query);
  return here.includes(state.whole) ? state.whole : (here[0] ?? queries[0]);
}

async function drawWhole() {
  const rows = about.rows.find((one) => one.kind === state.kind && isAt(one, state));
  element("whole").hidden = !rows;
  if (!rows) return;
  const query = wholeQuery(rows);
  const name = `${rows.entry}.${query}.${state.all}`;
  if (name === wholeShown) return;
  wholeShown = name;
  const numbers = await inflateExact(rows.entry);
  if (name === wholeShown) listWhole(rows, query, numbers);
}

function listWhole({ queries, sink }, query, numbers) {
  const [labels, row] = [labelsOn("keys"), queries.indexOf(query)];
  const weights = numbers.subarray(row * labels.length, (row + 1) * labels.length);
  const keys = range(labels.length).filter((key) => !isNaN(weights[key])).sort((one, other) => weights[other] - weights[one]);
  const ofSink = sink ? [wholeLine("", "learned sink", numbers[queries.length * labels.length + row])] : [];
  fill("whole-row", queries.map((one) => new Option(`${one} ${labelsOn("queries")[one]}`, one, false, one === query)));
  fill("whole-list", [...ofSink, ...firstOf(keys, "whole-more").map((key) => wholeLine(key, labels[key], weights[key]))]);
}

const wholeLine = (position, label, weight) => make("tr", "", numberCell(`${position}`), nameCell(isolated(label)), numberCell(numberText(weight)));

if (about.rows.length) {
  on(element("whole-row"), "change", ({ target }) => {
    const whole = Number(target.value);
    change({ whole, query: rowOf(whole) });
  });
  onClicks({ "whole-more": turnAll });
  onChange(drawWhole);
}
