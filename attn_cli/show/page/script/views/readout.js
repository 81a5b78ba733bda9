// What the page says of the chosen head and cell: in a line, in the legend, and to those who do not see them.
import { element, fill, set, shortName, toggle, write } from "../page.js";
import { patternText } from "../heads.js";
import { state } from "../state.js";
import { rampBar, rampOf, scaleOf } from "../colours.js";
import { named, numberText, short, weightText } from "../numbers.js";
import { headsShown, onHeads, spot } from "../shown.js";

/** The weight of the cell that is looked at as a sentence; with a pinned head both weights and their difference.
 * `isSpoken`: for those who do not see where the cell is. */
export function cellText(place = state.hover ?? state, isSpoken = false) {
  const heads = headsShown();
  if (!heads) return "";
  const { row, column } = spot(heads[0], place);
  const [query, key] = [named(heads[0].queries.items[row]), named(heads[0].keys.items[column])];
  const parts = heads.map((head) => `${head.name ?? ""} ${weightInWords(head, row, column)}`.trim());
  return `${isSpoken ? `row ${query}, column ${key}` : `${query} → ${key}`}: ${parts.join(" · ")}`;
}

function weightInWords(head, row, column) {
  if (!head.isSeen(row, column)) return head.isEmpty(row, column) ? "too little weight is left to divide" : "masked";
  const [weight, error] = [head.weight(row, column), head.error(row, column)];
  if (head.isExact && !error && !head.name) return numberText(weight);
  const isOneOfTwo = head.name && !head.isSigned;
  return `${weightText(weight, error, head.isSigned)}${error && weight && !isOneOfTwo ? ` ± ${error.toPrecision(2)}` : ""}`;
}

/** The scale in numbers, and the one of the difference. */
function legendOf(head) {
  const { low, high, isLog } = scaleOf(head);
  const least = head.isSigned ? `difference −${short(high)}` : `${isLog ? "≤ " : ""}${short(low)}`;
  return [`${least} `, rampBar(rampOf(head)), ` ${state.scale === "head" ? "≥ " : ""}${short(high)}${isLog ? ", log" : ""} `];
}

function tellHead(heads) {
  const [head] = heads;
  write("readout", cellText());
  fill("legend", heads.filter((one) => one === head || one.isSigned).flatMap(legendOf));
  write("head-title", `Head ${shortName(state)}`);
  write("head-pattern", patternText(state));
  element("head-exact").hidden = !head.isExact;
  toggle(document.body, "beside", heads.length > 1);
  const names = heads.slice(0, 2).map(({ place }) => shortName(place)).join(" beside ");
  const [cell, { row, column }] = [element("matrix-cell"), spot(head, state)];
  set(element("matrix-grid"), { "aria-label": `Weights of head ${names}: ${head.rows} queries by ${head.columns} keys`, "aria-rowcount": head.rows, "aria-colcount": head.columns });
  set(cell.parentElement, { "aria-rowindex": row + 1 });
  set(cell, { "aria-colindex": column + 1, "aria-label": cellText(state, true) });
}

onHeads(tellHead);
