// The map of all heads, layers by heads: coloured by a metric, or with the matrix of each as a thumbnail.
import { about, element, make, set, sharpen } from "../page.js";
import { levelsOf, maskOf, metricOf, patternOf, sizeOf } from "../heads.js";
import { THUMBNAILS, change, onChange, state } from "../state.js";
import { colour, pixels, signedColour, themeOf } from "../colours.js";
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
  const { layers, heads, size } = layout();
  const context = sharpen(canvas, GUTTER + heads * size + 1, GUTTER + layers.length * size + 1);
  const theme = themeOf(state);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = getComputedStyle(canvas).color;
  labels(context, heads, size, (at) => [GUTTER + (at + 0.5) * size, GUTTER - 8], "center", (at) => at);
  labels(context, layers.length, size, (at) => [GUTTER - 6, GUTTER + (at + 0.5) * size + 4], "right", (at) => layers[at]);
  const paint = state.metric === THUMBNAILS ? thumbnails(theme) : metricPainter(theme);
  layers.forEach((layer, row) => {
    for (let head = 0; head < heads; head += 1) {
      paint(context, { kind: state.kind, layer, head }, row, GUTTER + head * size, GUTTER + row * size, size - 1);
    }
  });
  const row = layers.indexOf(state.layer);
  context.strokeStyle = getComputedStyle(canvas).getPropertyValue("--accent");
  context.lineWidth = 2;
  context.strokeRect(GUTTER + state.head * size - 0.5, GUTTER + row * size - 0.5, size, size);
  fillGrid();
  tell(state);
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

/** The span of a metric: 0 to 1 where that is its unit, else that of all heads. */
function spanOf(metric) {
  const values = about.kinds[state.kind].metrics[metric].filter((value) => value !== null);
  const most = Math.max(...values.map(Math.abs));
  if (metric === SIGNED) return [-most, most];
  return about.metrics[metric][1] === "0 to 1" ? [0, 1] : [Math.min(0, ...values), Math.max(...values)];
}

function metricPainter(theme) {
  const [low, high] = spanOf(state.metric);
  const paint = (value) =>
    state.metric === SIGNED ? signedColour(value / (high || 1), theme) : colour((value - low) / (high - low || 1), theme);
  return (context, place, row, x, y, size) => {
    const value = metricOf(place, state.metric);
    context.fillStyle = value === null ? getComputedStyle(canvas).getPropertyValue("--masked") : paint(value);
    context.fillRect(x, y, size, size);
  };
}

function thumbnails(theme) {
  const { heads, layers } = about.kinds[state.kind];
  const name = `${state.kind} ${theme}`;
  if (!sprites.has(name)) {
    const sprite = document.createElement("canvas");
    [sprite.width, sprite.height] = [heads * THUMBNAIL, layers.length * THUMBNAIL];
    sprites.set(name, sprite);
    fill(sprite, state.kind, theme);
  }
  const sprite = sprites.get(name);
  return (context, place, row, x, y, size) => {
    context.fillStyle = getComputedStyle(canvas).getPropertyValue("--masked");
    context.fillRect(x, y, size, size);
    context.drawImage(sprite, place.head * THUMBNAIL, row * THUMBNAIL, THUMBNAIL, THUMBNAIL, x, y, size, size);
  };
}

/** Draw the thumbnails of all heads, a few at a time, so that the page answers meanwhile. */
async function fill(sprite, kind, theme) {
  const { layers, heads } = about.kinds[kind];
  const places = layers.flatMap((layer, row) => Array.from({ length: heads }, (_, head) => ({ kind, layer, head, row })));
  const context = sprite.getContext("2d");
  for (let first = 0; first < places.length; first += AT_ONCE) {
    await Promise.all(places.slice(first, first + AT_ONCE).map((place) => thumbnail(context, place, theme)));
    if (state.metric === THUMBNAILS) requestAnimationFrame(draw);
    await new Promise((resolve) => setTimeout(resolve));
  }
  element("map").dataset.complete = `${kind}`;
}

async function thumbnail(context, place, theme) {
  const { bins, side } = await binsOf(place);
  const levels = await levelsOf(place);
  const largest = new Int16Array(side * side).fill(-1);
  const shift = about.bits - 8;
  for (let index = 0; index < bins.length; index += 1) {
    const level = levels[index] >> shift;
    if (level > largest[bins[index]]) largest[bins[index]] = level;
  }
  const image = new ImageData(side, side);
  const colours = pixels(theme);
  const cells = new Uint32Array(image.data.buffer);
  largest.forEach((level, index) => (cells[index] = level < 0 ? 0 : colours[level]));
  context.imageSmoothingEnabled = false;
  const small = new OffscreenCanvas(side, side);
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, place.head * THUMBNAIL, place.row * THUMBNAIL, THUMBNAIL, THUMBNAIL);
}

const kept = new WeakMap(); // of each mask

/** For each visible cell the pixel of a thumbnail that it falls into. */
async function binsOf({ kind, layer }) {
  const mask = await maskOf(kind, layer);
  if (!kept.has(mask)) {
    const [rows, columns] = sizeOf(kind);
    const side = Math.min(THUMBNAIL, Math.max(rows, columns));
    const bin = (cell) =>
      Math.floor((Math.floor(cell / columns) * side) / rows) * side + Math.floor(((cell % columns) * side) / columns);
    kept.set(mask, { bins: Uint16Array.from(mask.cells, bin), side });
  }
  return kept.get(mask);
}

/** Say in words what the map shows of a head. */
/** A head in words: what it is known for, and its value of the metric. */
function aboutHead(place) {
  const pattern = patternOf(place);
  const parts = [`Head ${place.layer}.${place.head}`];
  if (pattern) parts.push(`${pattern[0]} ${pattern[1].toFixed(2)}`);
  if (state.metric !== THUMBNAILS) parts.push(`${state.metric} ${short(metricOf(place, state.metric))}`);
  return parts;
}

function tell(place) {
  element("map-says").textContent = aboutHead(place).join(" · ");
  element("map-about").textContent = state.metric === THUMBNAILS ? "the matrix of each head" : describe(state.metric);
}

function describe(metric) {
  const [low, high] = spanOf(metric);
  const [meaning, unit] = about.metrics[metric];
  return `${meaning} (${unit === "0 to 1" ? unit : `${short(low)} to ${short(high)} ${unit}`})`;
}

function headUnder({ target }) {
  const { layer, head } = target.dataset;
  return head === undefined ? null : { kind: state.kind, layer: Number(layer), head: Number(head) };
}

/** Go some layers down and some heads to the right, as far as there are any. */
export function step(down, right) {
  const { layers, heads } = about.kinds[state.kind];
  const row = Math.min(Math.max(layers.indexOf(state.layer) + down, 0), layers.length - 1);
  const head = Math.min(Math.max(state.head + right, 0), heads - 1);
  change({ layer: layers[row], head });
}

function fillSelects() {
  const metrics = element("metric");
  const names = [THUMBNAILS, ...Object.keys(about.kinds[state.kind].metrics)];
  metrics.replaceChildren(...names.map((name) => new Option(name, name)));
  metrics.value = state.metric;
  element("kind").value = `${state.kind}`;
}

export function startOverview() {
  element("kind").replaceChildren(...about.kinds.map((one, index) => new Option(`${one.kind} attention`, `${index}`)));
  element("kind").hidden = about.kinds.length === 1;
  element("kind").addEventListener("change", (event) => change({ kind: Number(event.target.value), query: -1, key: 0 }));
  element("metric").addEventListener("change", (event) => change({ metric: event.target.value }));
  grid.addEventListener("click", (event) => {
    const place = headUnder(event);
    if (place) change(place);
  });
  grid.addEventListener("pointerover", (event) => tell(headUnder(event) ?? state));
  grid.addEventListener("pointerleave", () => tell(state));
  new ResizeObserver(draw).observe(canvas.parentElement);
  onChange(fillSelects);
  onChange(draw);
}

/** Show the next metric, or the one before. */
export function nextMetric(by) {
  const names = [...element("metric").options].map((option) => option.value);
  change({ metric: names[(names.indexOf(state.metric) + by + names.length) % names.length] });
}
