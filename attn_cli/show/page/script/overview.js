// The map of all heads, layers by heads: coloured by a metric, or with the matrix of each as a thumbnail.
import { about, element, make, pointOn, sharpen } from "./page.js";
import { levelsOf, maskOf, metricOf, patternOf, sizeOf } from "./heads.js";
import { THUMBNAILS, change, onChange, state } from "./state.js";
import { colour, pixels, signedColour, themeOf } from "./colours.js";
import { short } from "./numbers.js";

const GUTTER = 26;
const THUMBNAIL = 40; // pixels along each side in the sprite
const SIGNED = "direct effect"; // 0 is in the middle of its colours
const AT_ONCE = 8; // heads inflated between two looks at the clock
const canvas = element("map");
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
  tell(state);
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
function tell(place) {
  const pattern = patternOf(place);
  const parts = [`Head ${place.layer}.${place.head}`];
  if (pattern) parts.push(`${pattern[0]} ${pattern[1].toFixed(2)}`);
  if (state.metric !== THUMBNAILS) parts.push(`${state.metric} ${short(metricOf(place, state.metric))}`);
  element("map-says").textContent = parts.join(" · ");
  element("map-about").textContent = state.metric === THUMBNAILS ? "the matrix of each head" : describe(state.metric);
}

function describe(metric) {
  const [low, high] = spanOf(metric);
  const [meaning, unit] = about.metrics[metric];
  return `${meaning} (${unit === "0 to 1" ? unit : `${short(low)} to ${short(high)} ${unit}`})`;
}

function headUnder(event) {
  const { layers, heads, size } = layout();
  const [x, y] = pointOn(canvas, event);
  const [head, row] = [Math.floor((x - GUTTER) / size), Math.floor((y - GUTTER) / size)];
  return head >= 0 && head < heads && row >= 0 && row < layers.length ? { kind: state.kind, layer: layers[row], head } : null;
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
  canvas.addEventListener("click", (event) => {
    const place = headUnder(event);
    if (place) change(place);
  });
  canvas.addEventListener("pointermove", (event) => tell(headUnder(event) ?? state));
  canvas.addEventListener("pointerleave", () => tell(state));
  new ResizeObserver(draw).observe(canvas.parentElement);
  onChange(fillSelects);
  onChange(draw);
}

/** Show the next metric, or the one before. */
export function nextMetric(by) {
  const names = [...element("metric").options].map((option) => option.value);
  change({ metric: names[(names.indexOf(state.metric) + by + names.length) % names.length] });
}
