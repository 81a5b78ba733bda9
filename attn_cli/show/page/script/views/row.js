// The chosen row or column as a list, the largest weight first; of two heads, the largest difference.
import { element, isolated, make, reachIn, set } from "../page.js";
import { change, focusOf, onChange, state } from "../state.js";
import { numberOf, plainNumber, weightText } from "../numbers.js";
import { headsShown } from "../shown.js";

const FIRST = 40; // rows of the list, unless all are asked for
const list = element("row-list");

const isSeen = (head, [row, column]) => Boolean(head.seen[row * head.columns + column]);

/** The chosen row or column of the heads: its name, its cells, and those of them that are seen, in the order of the text. */
function chosenOf(heads) {
  const [isRow, head] = [state.direction === "from", heads[0]];
  const [own, others] = isRow ? [head.queries, head.keys] : [head.keys, head.queries];
  const focus = own.of[focusOf()];
  const cell = (index) => (isRow ? [focus, index] : [index, focus]);
  const entries = [...others.items.keys()].filter((index) => isSeen(heads.at(-1), cell(index)));
  return { isRow, focus, name: own.items[focus], others, cell, entries };
}

function draw() {
  const heads = headsShown();
  if (!heads) return;
  const { isRow, focus, name, others, cell, entries } = chosenOf(heads);
  const size = (index) => Math.abs(heads.at(-1).weight(...cell(index)));
  const masked = [...others.items.keys()].filter((index) => !isSeen(heads.at(-1), cell(index)) && heads[0].isLeft?.[cell(index)[0]] !== false);
  entries.sort((one, other) => size(other) - size(one));
  const shown = state.all ? entries : entries.slice(0, FIRST);
  const chosen = others.of[(state.hover ?? state)[isRow ? "key" : "query"]];
  element("row-table").classList.toggle("pair", heads.length > 1);
  element("row-title").replaceChildren(make("span", `${numberOf(name)} `, "number"), isolated(name.label), make("span", isRow ? " looks at" : " is looked at by"));
  const title = (text, className, ...parts) => make("th", text, className, { scope: "col" }, ...parts);
  const titles = heads.length > 1 ? heads.map((one) => title(one.name, "number")) : [make("td"), title("weight", "number")];
  element("row-names").replaceChildren(title("", "number", make("span", "position", "unseen")), title("token", "label"), ...titles);
  const lines = shown.map((index) => {
    const line = lineOf(others.items[index], heads.map((one) => [one.weight(...cell(index)), one.error(...cell(index))]));
    line.dataset.cell = `${others.items[index].cells[0]}`;
    const [held, button] = [line.children[1], make("button", "", "plain", { type: "button", tabindex: -1 })];
    button.append(held.firstChild);
    held.append(button);
    if (line.classList.toggle("chosen", index === chosen)) set(button, { "aria-current": true });
    return line;
  });
  const isFocused = list.contains(document.activeElement);
  list.replaceChildren(...sinkLine(heads, focus, isRow), ...lines);
  reachIn(list, isFocused);
  element("row-more").hidden = entries.length <= FIRST;
  element("row-more").textContent = state.all ? `the largest ${FIRST}` : `all ${entries.length}`;
  element("row-masked").textContent = masked.length ? `${masked.length} masked` : "";
}

/** Choose the line above or below the one that has the focus. */
export function stepInList(line, by) {
  const next = by < 0 ? line.previousElementSibling : line.nextElementSibling;
  next?.click();
  next?.querySelector("button")?.focus(); // at once: the next key may come before the page is drawn
}

/** The row or column in the order of the text, no token of which is a formula to a spreadsheet. */
export function rowAsCsv() {
  const heads = headsShown();
  const { isRow, focus, others, cell, entries } = chosenOf(heads);
  const weight = (head, at) => (isSeen(head, at) ? plainNumber(head.weight(...at), head.error(...at)) : "");
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
  return weights ? [lineOf({ position: "", label: "learned sink" }, weights)] : [];
}

/** A line with the weight of one head and its bar, or with those of two and their difference. */
function lineOf({ position, label }, weights) {
  const name = make("th", "", "label", { scope: "row" }, isolated(label));
  const bar = make("meter", "", "", { value: weights[0][0], "aria-hidden": true });
  const bars = weights.length === 1 ? [make("td", "", "", {}, bar)] : [];
  const error = Math.max(...weights.map(([, own]) => own)); // of two heads no more digits than are known of both
  return make("tr", "", "", {}, make("td", `${position}`, "number"), name, ...bars, ...weights.map(([weight]) => make("td", weightText(weight, error), "number")));
}

export function startRow() {
  list.addEventListener("click", (event) => {
    const cell = event.target.closest("tr")?.dataset.cell;
    if (cell !== undefined) change({ [state.direction === "from" ? "key" : "query"]: Number(cell) });
  });
  element("row-more").addEventListener("click", () => change({ all: !state.all }));
  onChange(draw);
}
