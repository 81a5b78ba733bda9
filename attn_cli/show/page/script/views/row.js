// The chosen row or column as a list, the largest weight first.
import { element, isolated, make, set } from "../page.js";
import { headAtHand } from "../heads.js";
import { change, focusOf, onChange, state } from "../state.js";
import { DIGITS, labelOf, weightText } from "../numbers.js";

const FIRST = 40; // rows of the list, unless all are asked for
const list = element("row-list");

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
  const shown = state.all ? entries : entries.slice(0, FIRST);
  const { position, label } = labelOf(state.kind, isRow ? "queries" : "keys", focus);
  element("row-title").replaceChildren(make("span", `${position} `, "number"), isolated(label), make("span", isRow ? " looks at" : " is looked at by"));
  const isFocused = list.contains(document.activeElement);
  list.replaceChildren(...sinkLine(head, focus, isRow), ...shown.map((entry) => line(head, entry, isRow)));
  const reached = list.querySelector(".chosen button") ?? list.querySelector("button");
  if (reached) reached.tabIndex = 0;
  if (isFocused) reached?.focus();
  element("row-more").hidden = entries.length <= FIRST;
  element("row-more").textContent = state.all ? `the largest ${FIRST}` : `all ${entries.length}`;
  const masked = (isRow ? head.columns : head.rows) - entries.length;
  element("row-masked").textContent = masked ? `${masked} masked` : "";
}

/** Choose the line above or below the one that has the focus. */
export function stepInList(line, by) {
  const next = by < 0 ? line.previousElementSibling : line.nextElementSibling;
  next?.click();
  next?.querySelector("button")?.focus(); // at once: the next key may come before the page is drawn
}

/** The row or column in the order of the text, no token of which is a formula to a spreadsheet. */
export function rowAsCsv() {
  const [head, focus, isRow] = [headAtHand(state), focusOf(), state.direction === "from"];
  const entries = entriesOf(head, focus).sort(([one], [other]) => one - other);
  const lines = entries.map(([index, weight]) => {
    const { position, label } = labelOf(state.kind, isRow ? "keys" : "queries", index);
    return [position, quoted(label), head.isExact ? weight : weight.toFixed(DIGITS)];
  });
  if (head.sink && isRow) lines.push(["", "learned sink", head.sink[focus].toFixed(DIGITS)]);
  return [["position", "token", "weight"], ...lines].map((line) => `${line.join(",")}\r\n`).join("");
}

const quoted = (label) => `"${(/^[=+\-@'\t\r]/.test(label) ? `'${label}` : label).replaceAll('"', '""')}"`;

function sinkLine(head, focus, isRow) {
  return head.sink && isRow ? [lineOf("", "learned sink", head.sink[focus], head.isExact)] : [];
}

function line(head, [index, weight], isRow) {
  const { position, label } = labelOf(state.kind, isRow ? "keys" : "queries", index);
  const made = lineOf(`${position}`, label, weight, head.isExact);
  made.dataset.index = `${index}`;
  const button = make("button", "", "plain", { type: "button", tabindex: -1 });
  button.append(made.children[1].firstChild);
  made.children[1].append(button);
  const chosen = isRow ? (state.hover ?? state).key : (state.hover ?? state).query;
  if (made.classList.toggle("chosen", index === chosen)) set(button, { "aria-current": true });
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
  list.addEventListener("click", (event) => {
    const index = event.target.closest("tr")?.dataset.index;
    if (index !== undefined) change({ [state.direction === "from" ? "key" : "query"]: Number(index) });
  });
  element("row-more").addEventListener("click", () => change({ all: !state.all }));
  onChange(draw);
}
