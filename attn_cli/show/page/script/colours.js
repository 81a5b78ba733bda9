// From a number to a colour: one hue from paper to ink, two for numbers with signs, in light and dark.
import { about, abs, clamp, floor, kept, log, make, max, min, on, range, round, sheet } from "./page.js";
import { onChange, state } from "./state.js";

const RAMPS = {
  light: "ffffff d6e6f4 8bb8dc 3578b6 0d386e",
  dark: "181a1f 1c3a5c 256aa3 68aade def0ff",
  "light signed": "8c2d04 ec8a3c ffffff 5e9ccd 0d386e",
  "dark signed": "ffd6aa be6020 181a1f 256aa3 bee1ff",
};
const LEVELS = 256;
const system = matchMedia("(prefers-color-scheme: dark)");
const tables = new Map();

let isPrinted = false;

export const themeOf = () => isPrinted ? "light" : state.theme || (system.matches ? "dark" : "light");

/** Views read the colours of the style sheet after this. */
export const showTheme = () => (document.documentElement.dataset.theme = themeOf());
onChange(showTheme);

/** Draw again when the system turns light or dark, and on white paper while the page is printed. */
export function onTheme(draw) {
  on(system, "change", draw);
  on(window, "beforeprint afterprint", ({ type }) => {
    isPrinted = type === "beforeprint";
    draw();
  });
}

/** The colour at a part of a ramp, as red, green and blue. */
function mixed(ramp, part) {
  const colours = ramp.split(" ").map((colour) => colour.match(/\w\w/g).map((channel) => parseInt(channel, 16)));
  const at = part * (colours.length - 1);
  const low = min(floor(at), colours.length - 2);
  return colours[low].map((from, channel) => round(from + (colours[low + 1][channel] - from) * (at - low)));
}

/** The 256 colours of a theme, and one more for rows with nothing left, as red, green and blue; and as pixels of an `ImageData` seen as 32-bit numbers. */
const ramp = (theme) =>
  kept(tables, theme, () => {
    const empty = getComputedStyle(document.documentElement).getPropertyValue("--empty");
    const colours = range(LEVELS).map((level) => mixed(RAMPS[theme], level / (LEVELS - 1))).concat([mixed(`${empty} ${empty}`, 0)]);
    const bytes = Uint8Array.from(colours.flatMap((colour) => [...colour, 255]));
    return { colours, pixels: new Uint32Array(bytes.buffer) };
  });

/** The colours of a head as it is shown. */
export const rampOf = ({ isSigned }) => `${themeOf()}${isSigned ? " signed" : ""}`;

/** The scale of weights that are at most `largest`: common to all heads, per head, or logarithmic. */
export function scaleOf({ largest, isSigned = false }) {
  const isLog = state.scale === "log";
  const least = max(0.001, 1 / (2 ** about.bits - 1)); // smaller ones are not told apart from 0
  return { isSigned, isLog, low: isLog ? least : 0, high: state.scale === "head" ? largest : 1 };
}

/** The part of a scale at which a value stands, 0 to 1; on one with signs 0 stands in the middle. */
export function partOf(value, { low, high, isLog, isSigned }) {
  const size = isSigned ? abs(value) : value;
  const part = isLog ? log(max(size, low) / low) / log(high / low) : (size - low) / (high - low || 1);
  return isSigned ? 0.5 + (Math.sign(value) * part) / 2 : part;
}

const levelOf = (part) => round(clamp(part, 0, 1) * (LEVELS - 1));

const mixtureAt = (part, theme) => ramp(theme).colours[levelOf(part)];

/** The colour of a number from 0 to 1, for a style. */
export const colour = (part, theme) => `rgb(${mixtureAt(part, theme)})`;

/** The colours of a ramp, from its lowest to its highest. */
export function rampBar(theme) {
  const bar = make("span", "ramp");
  bar.style.backgroundImage = `linear-gradient(to right, ${range(17).map((part) => colour(part / 16, theme))})`;
  return bar;
}

/** The colour of text on it. */
export function ink(part, theme) {
  const [red, green, blue] = mixtureAt(part, theme).map((channel) => (channel / 255) ** 2.2);
  return red * 0.2126 + green * 0.7152 + blue * 0.0722 > 0.19 ? "#0c0d10" : "#ffffff"; // the one with more contrast
}

/** A picture with one pixel a cell: `valueOf` gives its number, null where it is to be transparent, undefined where it has the colour of rows with nothing left. */
export function bitmapOf(columns, rows, valueOf, rampName, scale) {
  const pen = sheet(columns, rows);
  const image = new ImageData(columns, rows);
  const [cells, { pixels }] = [new Uint32Array(image.data.buffer), ramp(rampName)];
  cells.forEach((_, cell) => {
    const value = valueOf(cell);
    if (value !== null) cells[cell] = pixels[value === undefined ? LEVELS : levelOf(partOf(value, scale))];
  });
  pen.putImageData(image, 0, 0);
  return pen.canvas;
}
