// The chosen row or column as a list, the largest weight first; of two heads, the largest difference.
import { abs, element, fill, isolated, make, max, onClicks, write } from "../page.js";
import { change, focusOf, isFrom, sidesShown, state } from "../state.js";
import { numberOf, plainNumber, weightText } from "../numbers.js";
import { headsShown, onHeads } from "../shown.js";
import { fillList, listLine, nameCell, numberCell } from "../lists.js";

const FIRST = 40; // rows of the list, unless all are asked for
const list = element("row-list");

/** The chosen row or column of the heads: its name, its cells, and those of them that are seen, in the order of the text. */
function chosenOf(heads) {
  const isRow = isFrom();
  const [own, others] = sidesShown().map((side) => heads[0][side]);
  const focus = own.of[focusOf()];
  const cell = (index) => isRow ? [focus, index] : [index, focus];
  const entries = [...others.items.keys()].filter((index) => heads.at(-1).isSeen(...cell(index)));
  return { isRow, focus, name: own.items[focus], others, cell, entries };
}

function drawRow(heads) {
  const { isRow, focus, name, others, cell, entries } = chosenOf(heads);
  const last = heads.at(-1);
  const size = (index) => abs(last.weight(...cell(index)));
  entries.sort((one, other) => size(other) - size(one));
  const chosen = others.of[(state.hover ?? state)[isRow ? "key" : "query"]];
  fill("row-title", [make("span", "number", `${numberOf(name)} `), isolated(name.label), isRow ? " looks at" : " is looked at by"]);
  nameColumns(heads);
  const lines = firstOf(entries, "row-more").map((index) => {
    const choose = () => change({ [isRow ? "key" : "query"]: others.items[index].cells[0] });
    return rowLine(others.items[index], heads.map((head) => [head.weight(...cell(index)), head.error(...cell(index))]), index === chosen, choose);
  });
  fillList(list, [...sinkLine(heads, focus, isRow), ...lines]);
  const masked = [...others.items.keys()].filter((index) => !last.isSeen(...cell(index)) && heads[0].isLeft?.[cell(index)[0]] !== false);
  write("row-masked", masked.length ? `${masked.length} masked` : "");
}

/** The first of the lines, unless all are asked for with this button. */
export function firstOf(lines, more) {
  element(more).hidden = lines.length <= FIRST;
  write(more, state.all ? `the largest ${FIRST}` : `all ${lines.length}`);
  return lines.slice(0, state.all ? lines.length : FIRST);
}

export const turnAll = () => change({ all: !state.all });

function nameColumns(heads) {
  const isPair = heads.length > 1;
  const title = (look, ...parts) => make("th", { class: look, scope: "col" }, ...parts);
  const weights = isPair ? heads.map((head) => title("number", head.name)) : [make("td", ""), title("number", "weight")];
  fill("row-names", [title("number", make("span", "unseen", "position")), title("label", "token"), ...weights]);
  element("row-table").classList.toggle("pair", isPair);
}

/** The row or column in the order of the text, no token of which is a formula to a spreadsheet. */
export function rowAsCsv() {
  const heads = headsShown();
  const { isRow, focus, others, cell, entries } = chosenOf(heads);
  const weight = (head, at) => head.isSeen(...at) ? plainNumber(head.weight(...at), head.error(...at)) : "";
  const lines = entries.map((index) => {
    const { position, label } = others.items[index];
    return [position, quoted(label), ...heads.map((head) => weight(head, cell(index)))];
  });
  const sink = isRow && sinksOf(heads, focus);
  if (sink) lines.push(["", "learned sink", ...sink.map((one) => plainNumber(...one))]);
  const names = heads.length > 1 ? heads.map((head) => head.name) : ["weight"];
  return [["position", "token", ...names], ...lines].map((line) => `${line.join(",")}\r\n`).join("");
}

const quoted = (label) => `"${(/^[=+\-@'\t\r]/.test(label) ? `'${label}` : label).replaceAll('"', '""')}"`;

/** What learned sinks take of a row, with its error; null without any. */
function sinksOf(heads, focus) {
  if (!heads.some((head) => head.sink)) return null;
  const weights = heads.slice(0, 2).map((head) => [head.sink?.[focus] ?? 0, head.error(focus, 0)]);
  if (heads.length > 1) weights.push([weights[0][0] - weights[1][0], weights[0][1] + weights[1][1]]);
  return weights;
}

function sinkLine(heads, focus, isRow) {
  const weights = isRow && sinksOf(heads, focus);
  return weights ? [make("tr", "", ...cellsOf("", isolated("learned sink"), weights))] : [];
}

const rowLine = (item, weights, isChosen, choose) =>
  listLine(isChosen, choose, isolated(item.label), (name) => cellsOf(numberOf(item), name, weights));

/** The cells of a line: the weight of one head and its bar, or those of two and their difference. */
function cellsOf(number, name, weights) {
  const bars = weights.length > 1 ? [] : [make("td", "", make("meter", { value: weights[0][0], "aria-hidden": true }))];
  const error = max(...weights.map(([, own]) => own)); // of two heads no more digits than are known of both
  return [numberCell(number), nameCell(name), ...bars, ...weights.map(([weight]) => numberCell(weightText(weight, error)))];
}

onClicks({ "row-more": turnAll });
onHeads(drawRow);
