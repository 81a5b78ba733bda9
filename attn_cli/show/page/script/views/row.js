// The chosen row or column as a list, the largest weight first; of two heads, the largest difference.
import { abs, element, every, fill, isolated, make, max, onClicks, write } from "../page.js";
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
  const ofHidden = (isHidden) => entries.filter((index) => !!others.items[index].isHidden === isHidden);
  const chosen = others.of[(state.hover ?? state)[isRow ? "key" : "query"]];
  fill("row-title", [make("span", "number", `${numberOf(name)} `), isolated(name.label), isRow ? " looks at" : " is looked at by"]);
  every("#row-names .of-pair").forEach((title, index) => (title.textContent = heads[index]?.name));
  const lineOf = (index) => {
    const choose = () => change({ [isRow ? "key" : "query"]: others.items[index].cells[0] });
    return rowLine(others.items[index], heads.map((head) => [head.weight(...cell(index)), head.error(...cell(index))]), index === chosen, choose);
  };
  const sink = sinkLine(heads, focus, isRow);
  const { isDivided } = heads[0]; // by what is apart
  fillList(list, [...(isDivided ? [] : sink), ...firstOf(ofHidden(false), "row-more").map(lineOf)]);
  fill("row-apart", [...(isDivided ? sink : []), ...ofHidden(true).map(lineOf)]);
  const empty = others.items.filter((_, index) => last.isEmpty(...cell(index))).length;
  const masked = others.items.length - entries.length - empty;
  write("row-masked", [masked && `${masked} masked`, empty && `${empty} with too little left to divide`].filter(Boolean).join(" · "));
}

/** The first of the lines, unless all are asked for with this button. */
export function firstOf(lines, more) {
  element(more).hidden = lines.length <= FIRST;
  write(more, state.all ? `the largest ${FIRST}` : `${lines.length - FIRST} smaller left out: show all ${lines.length}`);
  return lines.slice(0, state.all ? lines.length : FIRST);
}

export const turnAll = () => change({ all: !state.all });

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
const sinksOf = (heads, focus) => heads.at(-1).sink && heads.map((head) => [head.sink?.[focus] ?? 0, head.error(focus, 0)]);

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
  return [numberCell(number), nameCell(name), ...bars, ...weights.map(([weight], index) => numberCell(weightText(weight, error, index > 1)))];
}

onClicks({ "row-more": turnAll });
onHeads(drawRow);
