// Numbers and tokens as text: no more digits than are known.
import { about } from "./page.js";

export const DIGITS = about.bits === 8 ? 3 : 4;
const EXACT = 5; // digits in a list

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

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** A label that leaves the words around it in order. */
export const apart = (label) => (RIGHT_TO_LEFT.test(label) ? `\u2068${label}\u2069` : label);

/** The characters of a label as people see them. */
export const charactersOf = (label) =>
  Intl.Segmenter ? Array.from(new Intl.Segmenter().segment(label), ({ segment }) => segment) : [...label];

/** A label with its number, for a sentence. */
export function named(kind, side, index) {
  const { position, label } = labelOf(kind, side, index);
  return `${position} ${apart(label)}`;
}
