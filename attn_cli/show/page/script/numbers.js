// Numbers and tokens as text: no more digits than are known.
import { about } from "./page.js";

const DIGITS = about.bits === 8 ? 3 : 4;
const EXACT = 6;

/** A weight, or a difference of weights, with the digits that are known of it: it may be off by `error`. */
export function weightText(weight, error) {
  if (!error) return weight === 0 ? "0" : Math.abs(weight) < 1e-4 ? weight.toExponential(3) : weight.toFixed(EXACT);
  const digits = Math.min(DIGITS, Math.max(1, Math.ceil(-Math.log10(error))));
  return weight === 0 ? `<${error.toFixed(digits)}` : weight.toFixed(digits).replace("-", "−");
}

export const short = (value) =>
  value === null ? "–" : Number.isInteger(value) ? `${value}` : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);

/** The label of a row or a column, and the number of its first token. */
export function labelOf(kind, side, index) {
  const { cells } = about.kinds[kind];
  const text = about.texts[about.kinds[kind][side]];
  const position = index * cells[side === "queries" ? 0 : 1];
  return { position, label: text.labels[position] };
}

/** A label with its number, for a sentence; hidden keys have none. */
export const named = ({ position, label }) => `${position} ${label}`.trim();

/** As much of a label as there is room for. */
export function fitted(context, label, room) {
  if (context.measureText(label).width <= room) return label;
  const characters = [...label];
  while (characters.length > 1 && context.measureText(`${characters.join("")}…`).width > room) characters.pop();
  return `${characters.join("")}…`;
}
