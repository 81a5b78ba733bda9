// From a number to a colour: one hue from paper to ink, two for numbers with signs, in light and dark.
import { about, clamp } from "./page.js";
import { state } from "./state.js";

const RAMPS = {
  light: [[255, 255, 255], [214, 230, 244], [139, 184, 220], [53, 120, 182], [13, 56, 110]],
  dark: [[24, 26, 31], [28, 58, 92], [37, 106, 163], [104, 170, 222], [222, 240, 255]],
  "light signed": [[140, 45, 4], [236, 138, 60], [255, 255, 255], [94, 156, 205], [13, 56, 110]],
  "dark signed": [[255, 214, 170], [190, 96, 32], [24, 26, 31], [37, 106, 163], [190, 225, 255]],
};
const LEVELS = 256;
const system = window.matchMedia("(prefers-color-scheme: dark)");
const tables = {};

let isPrinted = false;

export const themeOf = () => (isPrinted ? "light" : state.theme || (system.matches ? "dark" : "light"));

/** Draw on white paper while the page is printed. */
export function onPrint(draw) {
  const turn = ({ type }) => {
    isPrinted = type === "beforeprint";
    draw();
  };
  for (const name of ["beforeprint", "afterprint"]) window.addEventListener(name, turn);
}

/** Tell `listener` when the system turns light or dark. */
export const onSystemTheme = (listener) => system.addEventListener("change", listener);

function mixed(ramp, part) {
  const at = part * (ramp.length - 1);
  const low = Math.min(Math.floor(at), ramp.length - 2);
  return ramp[low].map((from, channel) => Math.round(from + (ramp[low + 1][channel] - from) * (at - low)));
}

/** The 256 colours of a theme, as red, green and blue. */
export function ramp(theme) {
  tables[theme] ??= Array.from({ length: LEVELS }, (_, level) => mixed(RAMPS[theme], level / (LEVELS - 1)));
  return tables[theme];
}

/** The same as pixels of an `ImageData` seen as 32-bit numbers, on little-endian machines: all of today's. */
export function pixels(theme) {
  tables[`${theme} pixels`] ??= Uint32Array.from(
    ramp(theme),
    ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0,
  );
  return tables[`${theme} pixels`];
}

/** The colours of a head as it is shown. */
export const rampOf = ({ isSigned }) => `${themeOf()}${isSigned ? " signed" : ""}`;

/** The scale of weights that are at most `largest`: common to all heads, per head, or logarithmic. */
export function scaleOf({ largest, isSigned = false }) {
  const isLog = state.scale === "log";
  const least = Math.max(0.001, 1 / (2 ** about.bits - 1)); // smaller ones are not told apart from 0
  return { isSigned, isLog, low: isLog ? least : 0, high: state.scale === "head" ? largest : 1 };
}

/** The part of a scale at which a value stands, 0 to 1; on one with signs 0 stands in the middle. */
export function partOf(value, { low, high, isLog, isSigned }) {
  const size = isSigned ? Math.abs(value) : value;
  const part = isLog ? Math.log(Math.max(size, low) / low) / Math.log(high / low) : (size - low) / (high - low || 1);
  return isSigned ? 0.5 + (Math.sign(value) * part) / 2 : part;
}

export const levelOf = (part) => Math.round(clamp(part, 0, 1) * (LEVELS - 1));

/** The colour of a number from 0 to 1, for a style. */
export const colour = (part, theme) => `rgb(${ramp(theme)[levelOf(part)].join(" ")})`;

/** The colour of text on it. */
export function ink(part, theme) {
  const [red, green, blue] = ramp(theme)[levelOf(part)].map((channel) => (channel / 255) ** 2.2);
  return red * 0.2126 + green * 0.7152 + blue * 0.0722 > 0.19 ? "#0c0d10" : "#ffffff"; // the one with more contrast
}
