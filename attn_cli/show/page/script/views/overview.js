// The map of all heads, layers by heads: coloured by a metric, or with the matrix of each as a thumbnail.
import { about, clamp, element, make, set, sharpen, tones } from "../page.js";
import { levelsOf, maskOf, metricOf, patternText, placesOf, sizeOf } from "../heads.js";
import { THUMBNAILS, change, onChange, state } from "../state.js";
import { colour, levelOf, partOf, pixels, scaleOf, themeOf } from "../colours.js";
import { short } from "../numbers.js";

const GUTTER = 26;
const THUMBNAIL = 40; // pixels along each side in the sprite
const SIGNED = "direct effect"; // 0 is in the middle of its colours
const AT_ONCE = 8; // heads inflated between two looks at the clock
const canvas = element("map");
const grid = element("map-grid"); // over the canvas, for pointers, keyboards and screen readers
let filled = "";
const sprites = new Map(); // of each kind and theme

/** Where the map stands on its canvas: the size of a head, and the layers and heads along its sides. */
function layout() {
  const { layers, heads } = about.kinds[state.kind];
  const width = canvas.parentElement.clientWidth;
  const size = Math.max(9, Math.min(44, Math.floor((width - GUTTER) / heads)));
  return { layers, heads, size };
}

function draw() {
  tell(state);
  if (state.overview !== "map") return;
  element("map-about").textContent = state.metric === THUMBNAILS ? "the matrix of each head" : describe(state.metric);
  const { layers, heads, size } = layout();
  const context = sharpen(canvas, GUTTER + heads * size + 1, GUTTER + layers.length * size + 1);
  const theme = themeOf(state);
  context.font = "11px system-ui, sans-serif";
  const { ink, accent } = tones(canvas);
  context.fillStyle = ink;
  labels(context, heads, size, (at) => [GUTTER + (at + 0.5) * size, GUTTER - 8], "center", (at) => at);
  labels(context, layers.length, size, (at) => [GUTTER - 6, GUTTER + (at + 0.5) * size + 4], "right", (at) => layers[at]);
  const paint = state.metric === THUMBNAILS ? thumbnails(theme) : metricPainter(theme);
  for (const place of placesOf(state.kind)) paint(context, place, GUTTER + place.head * size, GUTTER + place.row * size, size - 1);
  const ring = ({ layer, head }) => context.strokeRect(GUTTER + head * size - 0.5, GUTTER + layers.indexOf(layer) * size - 0.5, size, size);
  Object.assign(context, { strokeStyle: accent, lineWidth: 2 });
  ring(state);
  context.strokeStyle = ink;
  if (state.pinned) ring(state.pinned);
  fillGrid();
}

/** A cell for each head; the Tab key reaches the chosen one. */
function fillGrid() {
  const { layers, heads, size } = layout();
  grid.style.setProperty("--size", `${size}px`);
  const name = `${state.kind} ${state.metric}`;
  const isFocused = grid.contains(document.activeElement);
  if (filled !== name) grid.replaceChildren(...layers.map((layer) => gridRow(layer, heads)));
  filled = name;
  const before = grid.querySelector("[aria-selected=true]");
  if (before) set(before, { "aria-selected": false, tabindex: -1 });
  const cell = grid.children[layers.indexOf(state.layer)].children[state.head];
  set(cell, { "aria-selected": true, tabindex: 0 });
  if (isFocused) cell.focus();
}

function gridRow(layer, heads) {
  const row = make("div", "", "", { role: "row" });
  for (let head = 0; head < heads; head += 1) {
    const names = { "aria-label": aboutHead({ kind: state.kind, layer, head }).join(", "), "data-head": head, "data-layer": layer };
    row.append(make("div", "", "", { role: "gridcell", tabindex: -1, "aria-selected": false, ...names }));
  }
  return row;
}

function labels(context, count, size, place, align, name) {
  const every = Math.ceil(16 / size);
  context.textAlign = align;
  for (let at = 0; at < count; at += every) context.fillText(name(at), ...place(at));
}

/** The scale of a metric: 0 to 1 where that is its unit and the scale is common, else that of all heads. */
function scaleOfMetric(metric) {
  const values = about.kinds[state.kind].metrics[metric].filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  if (metric === SIGNED) return { low: 0, high: Math.max(high, -low), isSigned: true };
  if (state.scale === "log" && low === 0 && high > 0) return { low: high / 1000, high, isLog: true };
  return state.scale === "common" && about.metrics[metric][1] === "0 to 1" ? { low: 0, high: 1 } : { low, high };
}

function metricPainter(theme) {
  const scale = scaleOfMetric(state.metric);
  const { masked } = tones(canvas);
  return (context, place, x, y, size) => {
    const value = metricOf(place, state.metric);
    context.fillStyle = value === null ? masked : colour(partOf(value, scale), scale.isSigned ? `${theme} signed` : theme);
    context.fillRect(x, y, size, size);
  };
}

function thumbnails(theme) {
  const { heads, layers } = about.kinds[state.kind];
  const name = `${state.kind} ${theme} ${state.scale}`;
  if (!sprites.has(name)) {
    const sprite = document.createElement("canvas");
    [sprite.width, sprite.height] = [heads * THUMBNAIL, layers.length * THUMBNAIL];
    sprites.set(name, sprite);
    fill(sprite, state.kind, theme);
  }
  const sprite = sprites.get(name);
  const { masked } = tones(canvas);
  return (context, place, x, y, size) => {
    context.fillStyle = masked;
    context.fillRect(x, y, size, size);
    context.drawImage(sprite, place.head * THUMBNAIL, place.row * THUMBNAIL, THUMBNAIL, THUMBNAIL, x, y, size, size);
  };
}

/** Draw the thumbnails of all heads, a few at a time, so that the page answers meanwhile. */
async function fill(sprite, kind, theme) {
  const places = placesOf(kind);
  const context = sprite.getContext("2d");
  for (let first = 0; first < places.length; first += AT_ONCE) {
    await Promise.all(places.slice(first, first + AT_ONCE).map((place) => thumbnail(context, place, theme)));
    if (state.metric === THUMBNAILS) requestAnimationFrame(draw);
    await new Promise((resolve) => setTimeout(resolve));
  }
  element("map").dataset.complete = `${kind}`;
}

async function thumbnail(context, place, theme) {
  const { bins, side, haveChoice } = await binsOf(place);
  const levels = await levelsOf(place);
  const largest = new Int16Array(side * side).fill(-1);
  const shift = about.bits - 8;
  let most = 1;
  for (let index = 0; index < bins.length; index += 1) {
    const level = levels[index] >> shift;
    if (level > largest[bins[index]]) largest[bins[index]] = level;
    if (level > most && haveChoice[index]) most = level;
  }
  const image = new ImageData(side, side);
  const colours = pixels(theme);
  const cells = new Uint32Array(image.data.buffer);
  const scale = scaleOf({ largest: most / 255 });
  largest.forEach((level, index) => (cells[index] = level < 0 ? 0 : colours[levelOf(partOf(level / 255, scale))]));
  context.imageSmoothingEnabled = false;
  const small = new OffscreenCanvas(side, side);
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, place.head * THUMBNAIL, place.row * THUMBNAIL, THUMBNAIL, THUMBNAIL);
}

const kept = new WeakMap(); // of each mask

/** For each visible cell the pixel of a thumbnail that it falls into, and whether its query may look at others. */
async function binsOf({ kind, layer }) {
  const mask = await maskOf(kind, layer);
  if (!kept.has(mask)) {
    const [rows, columns] = sizeOf(kind);
    const side = Math.min(THUMBNAIL, Math.max(rows, columns));
    const bin = (cell) =>
      Math.floor((Math.floor(cell / columns) * side) / rows) * side + Math.floor(((cell % columns) * side) / columns);
    const counts = new Uint32Array(rows);
    for (const cell of mask.cells) counts[Math.floor(cell / columns)] += 1;
    const haveChoice = Uint8Array.from(mask.cells, (cell) => counts[Math.floor(cell / columns)] > 1);
    kept.set(mask, { bins: Uint16Array.from(mask.cells, bin), side, haveChoice });
  }
  return kept.get(mask);
}

/** A head in words: what it is known for, and its values of the metrics that are shown. */
function aboutHead(place) {
  const names = new Set([state.metric, ...(state.overview === "map" ? [] : [state.across])]);
  names.delete(THUMBNAILS);
  const values = [...names].map((name) => `${name} ${short(metricOf(place, name))}`);
  return [`Head ${place.layer}.${place.head}`, patternText(place), ...values].filter(Boolean);
}

/** Say in words what is known of a head. */
export function tell(place) {
  element("map-says").textContent = aboutHead(place).join(" · ");
}

function describe(metric) {
  const { low, high, isLog } = scaleOfMetric(metric);
  const [meaning, unit] = about.metrics[metric];
  return `${meaning}: ${short(low)} to ${short(high)}${unit === "0 to 1" ? "" : ` ${unit}`}${isLog ? ", logarithmic" : ""}`;
}

function headUnder({ target }) {
  const { layer, head } = target.dataset;
  return head === undefined ? null : { kind: state.kind, layer: Number(layer), head: Number(head) };
}

/** Go some layers down and some heads to the right, as far as there are any. */
export function step(down, right) {
  const { layers, heads } = about.kinds[state.kind];
  change({ layer: layers[clamp(layers.indexOf(state.layer) + down, 0, layers.length - 1)], head: clamp(state.head + right, 0, heads - 1) });
}

function fillSelects() {
  const metrics = element("metric");
  const names = [THUMBNAILS, ...Object.keys(about.kinds[state.kind].metrics)];
  metrics.replaceChildren(...names.map((name) => new Option(name, name)));
  element("across").replaceChildren(...names.slice(1).map((name) => new Option(name, name)));
  element("kind").value = `${state.kind}`;
}

export function startOverview() {
  element("kind").replaceChildren(...about.kinds.map((one, index) => new Option(`${one.kind} attention`, `${index}`)));
  element("kind").hidden = about.kinds.length === 1;
  element("kind").addEventListener("change", (event) => change({ kind: Number(event.target.value), query: -1, key: 0, hide: [], pinned: null, hover: null }));
  grid.addEventListener("click", (event) => {
    const place = headUnder(event);
    if (place) change(place);
  });
  grid.addEventListener("pointerover", (event) => tell(headUnder(event) ?? state));
  grid.addEventListener("pointerleave", () => tell(state));
  onChange(fillSelects);
  onChange(draw, canvas.parentElement);
}
