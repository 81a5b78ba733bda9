// Numbers and tokens as text: no more digits than are known.
import { about } from "./page.js";

const DIGITS = about.bits === 8 ? 3 : 4;
const EXACT = 6;

/** A weight with the digits that are known of it. */
export function weightText(weight, isExact) {
  if (isExact) return weight === 0 ? "0" : weight < 1e-4 ? weight.toExponential(3) : weight.toFixed(EXACT);
  return weight === 0 ? `< ${about.error.toFixed(DIGITS)}` : weight.toFixed(DIGITS);
}

/** How far a shown weight may be from the one that the model computed. */
export const errorText = () => about.error.toPrecision(2);

export const short = (value) =>
  value === null ? "–" : Number.isInteger(value) ? `${value}` : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);

/** The label of a row or a column, and the number of its first token. */
export function labelOf(kind, side, index) {
  const { cells } = about.kinds[kind];
  const text = about.texts[about.kinds[kind][side]];
  const position = index * cells[side === "queries" ? 0 : 1];
  return { position, label: text.labels[position] };
}

/** A label with its number, for a sentence. */
export function named(kind, side, index) {
  const { position, label } = labelOf(kind, side, index);
  return `${position} ${label}`;
}
