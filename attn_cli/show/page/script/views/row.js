// The chosen row or column as a list, the largest weight first; of two heads, the largest difference.
import { element, isolated, make } from "../page.js";
import { change, focusOf, onChange, state } from "../state.js";
import { named, weightText } from "../numbers.js";
import { headsShown } from "../shown.js";

const FIRST = 40; // rows of the list, unless all are asked for
let showsAll = false;

function draw() {
  const heads = headsShown();
  if (!heads) return;
  const [isRow, head, sorted] = [state.direction === "from", heads[0], heads.at(-1)];
  const [own, others] = isRow ? [head.queries, head.keys] : [head.keys, head.queries];
  const focus = own.of[focusOf()];
  const cell = (index) => (isRow ? [focus, index] : [index, focus]);
  const size = (index) => Math.abs(sorted.weight(...cell(index)));
  const entries = [...others.items.keys()].filter((index) => sorted.seen[cell(index)[0] * head.columns + cell(index)[1]]);
  entries.sort((one, other) => size(other) - size(one));
  const shown = showsAll ? entries : entries.slice(0, FIRST);
  const chosen = others.of[(state.hover ?? state)[isRow ? "key" : "query"]];
  const name = own.items[focus];
  element("row-table").classList.toggle("pair", heads.length > 1);
  element("row-title").replaceChildren(isolated(named(name)), make("span", isRow ? " looks at" : " is looked at by"));
  const titles = heads.length > 1 ? heads.map((one) => one.name) : ["", "weight"];
  element("row-names").replaceChildren(make("th", "", "number"), make("th", "token", "label"), ...titles.map((text) => make("th", text, text && "number")));
  const lines = shown.map((index) => {
    const line = lineOf(others.items[index], heads.map((one) => [one.weight(...cell(index)), one.error(...cell(index))]));
    line.dataset.cell = `${others.items[index].cells[0]}`;
    line.classList.toggle("chosen", index === chosen);
    return line;
  });
  element("row-list").replaceChildren(...sinkLine(heads, focus, isRow), ...lines);
  element("row-more").hidden = entries.length <= FIRST;
  element("row-more").textContent = showsAll ? `the largest ${FIRST}` : `all ${entries.length}`;
}

function sinkLine(heads, focus, isRow) {
  if (!isRow || !heads.some((head) => head.sink)) return [];
  const weights = heads.slice(0, 2).map((head) => [head.sink?.[focus] ?? 0, head.error(focus, 0)]);
  if (heads.length > 1) weights.push([weights[0][0] - weights[1][0], weights[0][1] + weights[1][1]]);
  return [lineOf({ position: "", label: "learned sink" }, weights)];
}

/** A line with the weight of one head and its bar, or with those of two and their difference. */
function lineOf({ position, label }, weights) {
  const name = make("th", "", "label", isolated(label));
  name.scope = "row";
  const bar = make("meter");
  bar.value = weights[0][0];
  bar.setAttribute("aria-hidden", "true");
  const bars = weights.length === 1 ? [make("td", "", "", bar)] : [];
  return make("tr", "", "", make("td", `${position}`, "number"), name, ...bars, ...weights.map((weight) => make("td", weightText(...weight), "number")));
}

export function startRow() {
  element("row-list").addEventListener("click", (event) => {
    const cell = event.target.closest("tr")?.dataset.cell;
    if (cell !== undefined) change({ [state.direction === "from" ? "key" : "query"]: Number(cell) });
  });
  element("row-more").addEventListener("click", () => {
    showsAll = !showsAll;
    draw();
  });
  onChange(draw);
}
