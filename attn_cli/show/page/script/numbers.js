// Numbers and tokens as text: no more digits than are known.
import { about } from "./page.js";

const EXACT = 5; // digits in a list
const DIGITS = about.bits === 8 ? 3 : 4;

/** A weight with the digits that are known of it. */
export function weightText(weight, isExact) {
  if (isExact) return weight === 0 || weight >= 1e-4 ? `${Number(weight.toFixed(EXACT))}` : weight.toExponential(2);
  return weight === 0 ? `< ${about.error.toFixed(DIGITS)}` : weight.toFixed(DIGITS);
}

/** The fewest digits that tell a float32 number apart from its neighbours. */
export function numberText(number) {
  const [nearest, most] = [Math.fround(number), 9];
  let digits = 1;
  while (digits < most && Math.fround(Number(nearest.toPrecision(digits))) !== nearest) digits += 1;
  return `${Number(nearest.toPrecision(digits))}`.replace("-", "−");
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
