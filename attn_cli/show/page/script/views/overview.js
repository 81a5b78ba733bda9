// The map of all heads, layers by heads: coloured by a metric, or with the matrix of each as a thumbnail.
import { about, assign, ceil, clamp, element, fill, find, floor, hasFocus, kept, make, max, min, on, onPointer, range, set, sheet, shortName, write } from "../page.js";
import { fontOf, sharpen, tones } from "../canvases.js";
import { levelsOf, maskOf, metricOf, onThisText, patternText, placesOf, sizeOf } from "../heads.js";
import { areThumbnails, change, kindShown, onChange, placeIn, state, THUMBNAILS } from "../state.js";
import { bitmapOf, colour, partOf, rampBar, rampOf, scaleOf, themeOf } from "../colours.js";
import { short } from "../numbers.js";

const GUTTER = 26;
const THUMBNAIL = 40; // pixels along each side in the sprite
const SIGNED = "direct effect"; // 0 is in the middle of its colours
const AT_ONCE = 8; // heads inflated between two looks at the clock
const map = element("map");
const room = map.parentElement;
const kindSelect = element("kind");
const grid = element("map-grid"); // over the canvas, for pointers, keyboards and screen readers
let filled = "";
const sprites = new Map(); // of each kind and theme

function drawMap() {
  tell();
  if (state.overview !== "map") return;
  fill("map-about", areThumbnails() ? ["each head's matrix"] : describe(state.metric));
  const { layers, heads } = kindShown();
  const most = areThumbnails() ? 44 : clamp(floor(560 / layers.length), 18, 44); // all layers at a glance
  const size = clamp(floor((room.clientWidth - GUTTER) / heads), 9, most);
  const pen = sharpen(map, GUTTER + heads * size + 1, GUTTER + layers.length * size + 1);
  const { ink, accent, masked } = tones(map);
  const middle = (index) => GUTTER + (index + 0.5) * size;
  const every = ceil(16 / size);
  assign(pen, { font: fontOf(11), fillStyle: ink, textAlign: "center" });
  for (let head = 0; head < heads; head += every) pen.fillText(head, middle(head), GUTTER - 8);
  pen.textAlign = "right";
  for (let row = 0; row < layers.length; row += every) pen.fillText(layers[row], GUTTER - 6, middle(row) + 4);
  const paint = areThumbnails() ? thumbnails() : metricPainter();
  for (const place of placesOf(state.kind)) {
    const box = [GUTTER + place.head * size, GUTTER + place.row * size, size - 1, size - 1];
    pen.fillStyle = masked;
    pen.fillRect(...box);
    paint(pen, place, box);
  }
  pen.lineWidth = 2;
  for (const [place, strokeStyle] of [[state, accent], [state.pinned, ink]]) {
    pen.strokeStyle = strokeStyle;
    if (place) pen.strokeRect(GUTTER + place.head * size - 0.5, GUTTER + layers.indexOf(place.layer) * size - 0.5, size, size);
  }
  fillGrid(size);
}

/** A cell for each head; the Tab key reaches the chosen one. */
function fillGrid(size) {
  const { layers, heads } = kindShown();
  room.style.setProperty("--size", `${size}px`);
  const name = `${state.kind} ${state.metric}`;
  const isFocused = hasFocus(grid);
  if (filled !== name) fill("map-grid", layers.map((layer) => gridRow(layer, heads)));
  fill("map-names", range(heads).map((head) => make("span", "", head % ceil(16 / size) ? "" : head)));
  filled = name;
  const before = find("[aria-selected=true]", grid);
  if (before) set(before, { "aria-selected": false, tabindex: -1 });
  const cell = grid.children[layers.indexOf(state.layer)].children[state.head];
  set(cell, { "aria-selected": true, tabindex: 0 });
  if (isFocused) cell.focus();
}

function gridRow(layer, heads) {
  const cells = range(heads).map((head) => make("div", {
    role: "gridcell", tabindex: -1, "aria-selected": false, "data-head": shortName({ layer, head }),
    "aria-label": aboutHead({ kind: state.kind, layer, head }).join(", "),
  }));
  return make("div", { role: "row" }, ...cells);
}

/** The lowest and the highest value of a metric, or 0. */
export function extentOf(metric) {
  const values = kindShown().metrics[metric];
  return [min(0, ...values), max(0, ...values)];
}

/** The scale of a metric: 0 to 1 where that is its unit and the scale is common, else that of all heads. */
function scaleOfMetric(metric) {
  const [low, high] = extentOf(metric);
  if (metric === SIGNED) return { low: 0, high: max(high, -low), isSigned: true };
  if (state.scale === "log" && low === 0 && high > 0) return { low: high / 1000, high, isLog: true };
  return state.scale === "common" && about.metrics[metric][1] === "0 to 1" ? { low: 0, high: 1 } : { low, high };
}

function metricPainter() {
  const scale = scaleOfMetric(state.metric);
  return (pen, place, box) => {
    const value = metricOf(place, state.metric);
    if (value === null) return;
    pen.fillStyle = colour(partOf(value, scale), rampOf(scale));
    pen.fillRect(...box);
  };
}

function thumbnails() {
  const { heads, layers } = kindShown();
  const name = `${state.kind} ${themeOf()} ${state.scale}`;
  const sprite = kept(sprites, name, () => {
    const pen = sheet(heads * THUMBNAIL, layers.length * THUMBNAIL);
    fillSprite(pen, state.kind);
    return pen.canvas;
  });
  return (pen, place, box) => pen.drawImage(sprite, ...inSprite(place), ...box);
}

/** Where the thumbnail of a head stands. */
const inSprite = ({ head, row }) => [head * THUMBNAIL, row * THUMBNAIL, THUMBNAIL, THUMBNAIL];

/** Draw the thumbnails of all heads, a few at a time, so that the page answers meanwhile. */
async function fillSprite(pen, kind) {
  const [places, ramp] = [placesOf(kind), themeOf()];
  pen.imageSmoothingEnabled = false;
  for (let first = 0; first < places.length; first += AT_ONCE) {
    await Promise.all(places.slice(first, first + AT_ONCE).map(async (place) => {
      pen.drawImage(await thumbnail(place, ramp), ...inSprite(place));
    }));
    if (areThumbnails()) requestAnimationFrame(drawMap);
    await new Promise((resolve) => setTimeout(resolve));
  }
  map.dataset.complete = `${kind}`;
}

/** A head made small: the largest weight of the cells that fall into each pixel. */
async function thumbnail(place, ramp) {
  const { bins, side, haveChoice } = await binsOf(place);
  const levels = await levelsOf(place);
  const largest = new Int16Array(side * side).fill(-1);
  const shift = about.bits - 8;
  let most = 1;
  for (let index = 0; index < bins.length; index += 1) { // three times as fast as `forEach`
    const bin = bins[index];
    const level = levels[index] >> shift;
    if (level > largest[bin]) largest[bin] = level;
    if (level > most && haveChoice[index]) most = level;
  }
  return bitmapOf(side, side, (pixel) => largest[pixel] < 0 ? null : largest[pixel] / 255, ramp, scaleOf({ largest: most / 255 }));
}

const keptBins = new WeakMap(); // of each mask

/** For each visible cell the pixel of a thumbnail that it falls into, and whether its query may look at others. */
async function binsOf(place) {
  const mask = await maskOf(place);
  return kept(keptBins, mask, () => {
    const [rows, columns] = sizeOf(place.kind);
    const side = min(THUMBNAIL, max(rows, columns));
    const rowOf = (cell) => floor(cell / columns);
    const bin = (cell) => floor((rowOf(cell) * side) / rows) * side + floor(((cell % columns) * side) / columns);
    const counts = new Uint32Array(rows);
    for (const cell of mask.cells) counts[rowOf(cell)] += 1;
    const haveChoice = mask.cells.map((cell) => counts[rowOf(cell)] > 1);
    return { bins: mask.cells.map(bin), side, haveChoice };
  });
}

/** A head in words: what it is known for, and its values of the metrics that are shown. */
function aboutHead(place) {
  const names = new Set([state.metric, state.overview === "map" ? THUMBNAILS : state.across]);
  names.delete(THUMBNAILS);
  const values = [...names].map((name) => `${onThisText(name)} ${short(metricOf(place, name))}`);
  return [`Head ${shortName(place)}`, patternText(place), ...values].filter(Boolean);
}

/** Say in words what is known of a head, else of the chosen one. */
export const tell = (place) => write("map-says", aboutHead(place ?? state).join(" · "));

function describe(metric) {
  const { low, high, isLog, isSigned } = scaleOfMetric(metric);
  const [meaning, unit] = about.metrics[metric];
  const span = `${meaning}: ${short(isSigned ? -high : low)} to ${short(high)}${unit === "0 to 1" ? "" : ` ${unit}`}${isLog ? ", logarithmic" : ""}`;
  return isSigned ? [span, "; takes away ", rampBar(rampOf({ isSigned })), " adds"] : [span];
}

function headUnder({ target }) {
  const place = placeIn(target.dataset.head);
  return place && { kind: state.kind, ...place };
}

/** Go some layers down and some heads to the right, as far as there are any. */
export function step(down, right) {
  const { layers, heads } = kindShown();
  change({ layer: layers[clamp(layers.indexOf(state.layer) + down, 0, layers.length - 1)], head: clamp(state.head + right, 0, heads - 1) });
}

/** Choices that are named as they are set. */
export const options = (names, title = (name) => name) => names.map((name) => new Option(title(name), name));

function fillSelects() {
  const metrics = Object.keys(kindShown().metrics);
  fill("metric", [...options([THUMBNAILS]), ...options(metrics, onThisText)]);
  fill("across", options(metrics, onThisText));
  kindSelect.value = state.kind;
}

const chooseKind = (kind) => change({ kind, query: -1, key: 0, hide: [], pinned: null, hover: null });
on(kindSelect, "change", () => chooseKind(Number(kindSelect.value)));
const { next } = about;
if (next) on(element("to-next"), "click", () => {
  if (state.kind < next.kind) chooseKind(next.kind);
  change({ ...next.to[state.kind], query: -1, direction: "from", metric: SIGNED });
});
onPointer(grid, headUnder, change, tell);
onChange(fillSelects);
onChange(drawMap, room);
