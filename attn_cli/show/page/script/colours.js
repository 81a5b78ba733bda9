// From a number between 0 and 1 to a colour: one hue from paper to ink, in light and dark.

const RAMPS = {
  light: [[255, 255, 255], [214, 230, 244], [139, 184, 220], [53, 120, 182], [13, 56, 110]],
  dark: [[24, 26, 31], [28, 58, 92], [37, 106, 163], [104, 170, 222], [222, 240, 255]],
  "light minus": [[255, 255, 255], [251, 226, 208], [240, 172, 122], [204, 100, 40], [118, 50, 12]],
  "dark minus": [[24, 26, 31], [88, 48, 24], [158, 86, 38], [226, 148, 88], [255, 230, 210]],
};
const LEVELS = 256;
const system = window.matchMedia("(prefers-color-scheme: dark)");
const tables = {};

let isPrinted = false;

export const themeOf = (state) => (isPrinted ? "light" : state.theme || (system.matches ? "dark" : "light"));

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

const levelOf = (part) => Math.round(Math.min(Math.max(part, 0), 1) * (LEVELS - 1));

/** The colour of a number from 0 to 1, for a style. */
export const colour = (part, theme) => `rgb(${ramp(theme)[levelOf(part)].join(" ")})`;

/** The colour of a number from −1 to 1: 0 is paper. */
export const signedColour = (part, theme) => colour(Math.abs(part), part < 0 ? `${theme} minus` : theme);

/** The colour of text on it. */
export function ink(part, theme) {
  const [red, green, blue] = ramp(theme)[levelOf(part)].map((channel) => (channel / 255) ** 2.2);
  return red * 0.2126 + green * 0.7152 + blue * 0.0722 > 0.19 ? "#0c0d10" : "#ffffff"; // the one with more contrast
}
