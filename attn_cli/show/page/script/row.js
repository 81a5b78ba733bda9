// The chosen row or column as a list, the largest weight first.
import { element, isolated, make } from "./page.js";
import { headAtHand } from "./heads.js";
import { change, focusOf, onChange, state } from "./state.js";
import { labelOf, weightText } from "./numbers.js";

const FIRST = 40; // rows of the list, unless all are asked for
let showsAll = false;

/** The visible cells of the row or the column: index and weight, the largest first. */
function entriesOf(head, focus) {
  const isRow = state.direction === "from";
  const entries = [];
  for (let index = 0; index < (isRow ? head.columns : head.rows); index += 1) {
    const [row, column] = isRow ? [focus, index] : [index, focus];
    if (head.seen[row * head.columns + column]) entries.push([index, head.weight(row, column)]);
  }
  return entries.sort(([, one], [, other]) => other - one);
}

function draw() {
  const head = headAtHand(state);
  if (!head) return;
  const [focus, isRow] = [focusOf(), state.direction === "from"];
  const entries = entriesOf(head, focus);
  const shown = showsAll ? entries : entries.slice(0, FIRST);
  const { position, label } = labelOf(state.kind, isRow ? "queries" : "keys", focus);
  element("row-title").replaceChildren(make("span", `${position} `, "number"), isolated(label), make("span", isRow ? " looks at" : " is looked at by"));
  element("row-list").replaceChildren(...sinkLine(head, focus, isRow), ...shown.map((entry) => line(head, entry, isRow)));
  element("row-more").hidden = entries.length <= FIRST;
  element("row-more").textContent = showsAll ? `the largest ${FIRST}` : `all ${entries.length}`;
}

function sinkLine(head, focus, isRow) {
  return head.sink && isRow ? [lineOf("", "learned sink", head.sink[focus], head.isExact)] : [];
}

function line(head, [index, weight], isRow) {
  const { position, label } = labelOf(state.kind, isRow ? "keys" : "queries", index);
  const made = lineOf(`${position}`, label, weight, head.isExact);
  made.dataset.index = `${index}`;
  const chosen = isRow ? (state.hover ?? state).key : (state.hover ?? state).query;
  made.classList.toggle("chosen", index === chosen);
  return made;
}

function lineOf(position, label, weight, isExact) {
  const row = make("tr");
  const bar = make("meter");
  bar.value = weight;
  bar.setAttribute("aria-hidden", "true");
  const name = make("th", "", "label");
  name.scope = "row";
  name.append(isolated(label));
  const held = make("td");
  held.append(bar);
  row.append(make("td", position, "number"), name, held, make("td", weightText(weight, isExact), "number"));
  return row;
}

export function startRow() {
  element("row-list").addEventListener("click", (event) => {
    const index = event.target.closest("tr")?.dataset.index;
    if (index !== undefined) change({ [state.direction === "from" ? "key" : "query"]: Number(index) });
  });
  element("row-more").addEventListener("click", () => {
    showsAll = !showsAll;
    draw();
  });
  onChange(draw);
}
