// Numbers and tokens as text: no more digits than are known.
import { abs, blockOf, ceil, clamp, min, range, textOf } from "./page.js";

const EXACT = 5; // digits in a list

const digitsOf = (error) => clamp(ceil(-Math.log10(error)), 1, EXACT);

/** A weight as a number for other programs, with the digits that are known of it. */
export const plainNumber = (weight, error) => error ? weight.toFixed(digitsOf(error)) : `${weight}`;

/** A weight, or a difference of weights, with the digits that are known of it: it may be off by `error`. */
export function weightText(weight, error, isDifference) {
  if (!error) return (weight === 0 || abs(weight) >= 1e-4 ? `${Number(weight.toFixed(EXACT))}` : weight.toExponential(2)).replace(/^-/, "−");
  const digits = digitsOf(error);
  if (isDifference && !Number(weight.toFixed(digits))) return "≈ 0";
  return weight === 0 ? `<${error.toFixed(digits)}` : weight.toFixed(digits).replace("-", "−");
}

/** The fewest digits that tell a float32 number apart from its neighbours. */
export function numberText(number) {
  const nearest = Math.fround(number);
  const fewest = range(9).map((digits) => Number(nearest.toPrecision(digits + 1))).find((one) => Math.fround(one) === nearest);
  return `${fewest ?? nearest}`.replace("-", "−");
}

export const short = (value) =>
  value === null ? "–" : Number.isInteger(value) ? `${value}` : abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);

/** The label of a row or a column, and the numbers of its first and last token. */
export function labelOf(kind, side, index) {
  const { labels } = textOf(kind, side);
  const size = blockOf(kind, side);
  const position = index * size;
  return { position, last: min(position + size, labels.length) - 1, label: labels[position] };
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** A label that leaves the words around it in order. */
const apart = (label) => RIGHT_TO_LEFT.test(label) ? `\u2068${label}\u2069` : label;

/** The characters of a label as people see them. */
const charactersOf = (label) =>
  Intl.Segmenter ? Array.from(new Intl.Segmenter().segment(label), ({ segment }) => segment) : [...label];

/** The number of a token, or those of the first and the last one of a block. */
export const numberOf = ({ position, last }) => last > position ? `${position}–${last}` : `${position}`;

/** A label with its number, for a sentence; hidden keys have none. */
export const named = (item) => `${numberOf(item)} ${apart(item.label)}`.trim();

/** As much of a label as there is room for. */
export function fitted(pen, label, room) {
  if (pen.measureText(label).width <= room) return label;
  const characters = charactersOf(label);
  const cut = () => `${characters.join("")}…`;
  while (characters.length > 1 && pen.measureText(cut()).width > room) characters.pop();
  return cut();
}
