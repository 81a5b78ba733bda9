// The whole rows that were kept of the chosen head: its weight on every key, in full precision.
import { about, element, isolated, make } from "../page.js";
import { inflateExact } from "../entries.js";
import { change, onChange, state } from "../state.js";

const FIRST = 40; // keys of the list, unless all are asked for
const DIGITS = 7; // of float32
let shown = "";

const rowsOf = ({ kind, layer, head }) => about.rows.find((one) => one.kind === kind && one.layer === layer && one.head === head);
const labelAt = (side, position) => about.texts[about.kinds[state.kind][side]].labels[position];
const blockOf = (position) => Math.floor(position / about.kinds[state.kind].cells[0]);

/** The query whose row is shown: the chosen one, else one of the chosen row of the matrix, else the first. */
function queryOf({ queries }) {
  const here = queries.filter((one) => blockOf(one) === state.query);
  return here.includes(state.whole) ? state.whole : (here[0] ?? queries[0]);
}

async function draw() {
  const rows = rowsOf(state);
  element("whole").hidden = !rows;
  if (!rows) return;
  const query = queryOf(rows);
  const name = `${rows.entry}.${query}.${state.all}`;
  if (name === shown) return;
  shown = name;
  const numbers = await inflateExact(rows.entry);
  if (name === shown) list(rows, query, numbers);
}

function list({ queries, sink }, query, numbers) {
  const count = about.texts[about.kinds[state.kind].keys].labels.length;
  const row = queries.indexOf(query);
  const weights = numbers.subarray(row * count, (row + 1) * count);
  const keys = [...weights.keys()].filter((key) => !Number.isNaN(weights[key])).sort((one, other) => weights[other] - weights[one]);
  const few = state.all ? keys : keys.slice(0, FIRST);
  const ofSink = sink ? [line("", "learned sink", numbers[queries.length * count + row])] : [];
  element("whole-row").replaceChildren(...queries.map((one) => new Option(`${one} ${labelAt("queries", one)}`, `${one}`, false, one === query)));
  element("whole-list").replaceChildren(...ofSink, ...few.map((key) => line(`${key}`, labelAt("keys", key), weights[key])));
  element("whole-more").hidden = keys.length <= FIRST;
  element("whole-more").textContent = state.all ? `the largest ${FIRST}` : `all ${keys.length}`;
}

function line(position, label, weight) {
  const name = make("th", "", "label", { scope: "row" }, isolated(label));
  return make("tr", "", "", {}, make("td", position, "number"), name, make("td", `${Number(weight.toPrecision(DIGITS))}`, "number"));
}

export function startWhole() {
  if (!about.rows.length) return;
  element("whole-row").addEventListener("change", ({ target }) => change({ whole: Number(target.value), query: blockOf(Number(target.value)) }));
  element("whole-more").addEventListener("click", () => change({ all: !state.all }));
  onChange(draw);
}
