// One head's matrix, with labels: zoom, pan, and the row and column under the pointer.
import { clamp, element, make, pointOn, set, sharpen, tones } from "../page.js";
import { patternText } from "../heads.js";
import { change, onChange, state } from "../state.js";
import { colour, levelOf, partOf, pixels, rampOf, scaleOf } from "../colours.js";
import { fitted, named, numberText, short, weightText } from "../numbers.js";
import { fetchShown, headShown, headsShown, spot } from "../shown.js";

const LINE = 13; // pixels that a label needs
const LARGEST_CELL = 34;
const MOST_GUTTER = 110;
const GAP = 16; // between heads side by side, and the height of their names
const canvas = element("matrix");
const bitmaps = new WeakMap();
let dragged = null;

/** The matrix as a picture with one pixel a cell; masked cells are transparent. */
function bitmapOf(head) {
  const name = rampOf(head);
  const kept = bitmaps.get(head);
  if (kept?.name === name && kept.scale === state.scale) return kept.bitmap;
  const bitmap = new OffscreenCanvas(head.columns, head.rows);
  const image = new ImageData(head.columns, head.rows);
  const cells = new Uint32Array(image.data.buffer);
  const [colours, scale] = [pixels(name), scaleOf(head)];
  for (let cell = 0; cell < cells.length; cell += 1) {
    if (head.seen[cell]) cells[cell] = colours[levelOf(partOf(head.values[cell], scale))];
  }
  bitmap.getContext("2d").putImageData(image, 0, 0);
  bitmaps.set(head, { name, scale: state.scale, bitmap });
  return bitmap;
}

/** Where cells stand: gutters for labels, the size of a cell, and the cells that are seen. */
function layout(head) {
  const width = canvas.parentElement.clientWidth;
  const tallest = Math.min(width, Math.max(420, window.innerHeight - 260));
  const count = headsShown().length;
  const [left, top] = [gutter(head.queries, width), gutter(head.keys, width) + (count > 1 ? GAP : 0)];
  const room = (width - left - 2 + GAP) / count - GAP;
  const least = Math.min(room / head.columns, (tallest - top - 2) / head.rows, LARGEST_CELL);
  const size = Math.min(least * state.zoom, Math.max(least, LARGEST_CELL));
  const [wide, high] = [Math.min(head.columns * least, room), head.rows * least];
  const [columns, rows] = [wide / size, high / size];
  state.x = clamp(state.x, 0, head.columns - columns);
  state.y = clamp(state.y, 0, head.rows - rows);
  return { left, top, size, columns, rows, wide, high, count };
}

function gutter({ items }, width) {
  const longest = items.reduce((most, { label }) => Math.max(most, label.length), 0);
  return Math.min(MOST_GUTTER, width / 4, 34 + longest * 8);
}

function draw() {
  const heads = headsShown();
  if (!heads || state.view !== "matrix") return;
  const at = layout(heads[0]);
  const context = sharpen(canvas, at.left + at.count * (at.wide + GAP) - GAP + 2, at.top + at.high + 2);
  context.font = "12px system-ui, sans-serif";
  heads.forEach((head, index) => panel(context, head, { ...at, index, left: at.left + index * (at.wide + GAP) }));
  placeCell(at, spot(heads[0], state));
}

/** The chosen cell of the first head as an element over the canvas, for keyboards and screen readers. */
function placeCell(at, { row, column }) {
  const { style } = element("matrix-cell");
  style.left = `${at.left + (column - state.x) * at.size}px`;
  style.top = `${at.top + (row - state.y) * at.size}px`;
  style.width = style.height = `${at.size}px`;
}

/** One of the heads that stand side by side; the first one has the labels of the rows. */
function panel(context, head, at) {
  const tone = tones(canvas);
  context.fillStyle = tone.masked;
  context.fillRect(at.left, at.top, at.wide, at.high);
  context.imageSmoothingEnabled = at.size * (window.devicePixelRatio || 1) < 1;
  context.drawImage(bitmapOf(head), state.x, state.y, at.columns, at.rows, at.left, at.top, at.wide, at.high);
  const focus = spot(head);
  labels(context, head, at, tone, focus);
  cross(context, at, focus, tone.accent);
  context.fillStyle = tone.ink;
  context.textAlign = "left";
  if (at.count > 1) context.fillText(head.name, at.left, GAP - 4);
}

/** The scale in numbers, and the one of the difference. */
function legend(heads) {
  const bars = heads.filter((head, index) => index === 0 || head.isSigned).map((head) => {
    const [scale, bar] = [scaleOf(head), make("span", "", "ramp")];
    bar.style.backgroundImage = `linear-gradient(to right, ${Array.from({ length: 17 }, (_, part) => colour(part / 16, rampOf(head)))})`;
    const low = head.isSigned ? `difference −${short(scale.high)}` : `${scale.isLog ? "≤ " : ""}${short(scale.low)}`;
    return [`${low} `, bar, ` ${state.scale === "head" ? "≥ " : ""}${short(scale.high)}${scale.isLog ? ", log" : ""} `];
  });
  element("legend").replaceChildren(...bars.flat());
}

/** Labels of as many rows and columns as there is room for, those of the cross always. */
function labels(context, head, at, { ink, accent }, focus) {
  const every = Math.ceil(LINE / at.size);
  const each = (items, first, room, chosen, label) => {
    for (let index = Math.floor(first); index < Math.min(first + room / at.size, items.length); index += 1) {
      const [place, isChosen] = [(index - first + 0.5) * at.size, index === chosen];
      const isNamed = index % every === 0 && (every === 1 || Math.abs(index - chosen) >= every);
      context.fillStyle = isChosen ? accent : ink;
      if ((isChosen || isNamed) && place >= 0 && place <= room) label(items[index], place);
    }
  };
  if (!at.index) each(head.queries.items, state.y, at.high, focus.row, (item, y) => tokenLabel(context, item, at.left - 6, at.top + y, at.left - 10, 0));
  const room = at.top - 10 - (at.count > 1 ? GAP : 0);
  each(head.keys.items, state.x, at.wide, focus.column, (item, x) => tokenLabel(context, item, at.left + x, at.top - 6, room, -Math.PI / 2));
}

/** A label after its number, as much of it as there is room for: it ends at the place, or goes up from it. */
function tokenLabel(context, { position, label }, x, y, room, angle) {
  const widthOf = (text) => context.measureText(text).width;
  const number = `${position} `;
  const shown = fitted(context, label, room - widthOf(number));
  const start = angle ? 0 : -widthOf(number + shown);
  within(context, angle ? [x - LINE / 2 - 1, y - room - 4, LINE + 2, room + 10] : [0, y - LINE / 2 - 1, x + 6, LINE + 2]);
  Object.assign(context, { textAlign: "left", textBaseline: "middle" });
  context.translate(x, y);
  context.rotate(angle);
  context.fillText(number, start, 0);
  context.fillText(shown, start + widthOf(number), 0);
  context.restore();
}

/** Draw only within a rectangle, until `restore`: combining marks tower over their line. */
function within(context, rectangle) {
  context.save();
  context.beginPath();
  context.rect(...rectangle);
  context.clip();
}

/** The row and the column that meet in the cell. */
function cross(context, at, { row, column }, accent) {
  const [x, y] = [at.left + (column - state.x) * at.size, at.top + (row - state.y) * at.size];
  within(context, [at.left - 1, at.top - 1, at.wide + 2, at.high + 2]);
  context.strokeStyle = accent;
  context.lineWidth = 1;
  context.strokeRect(at.left - 1, y - 0.5, at.wide + 2, at.size + 1);
  context.strokeRect(x - 0.5, at.top - 1, at.size + 1, at.high + 2);
  context.restore();
}

function cellUnder(event) {
  const head = headShown();
  if (!head) return null;
  const at = layout(head);
  const [x, y] = pointOn(canvas, event);
  const across = (x - at.left) % (at.wide + GAP); // in one of the heads side by side
  const [column, row] = [Math.floor(across / at.size + state.x), Math.floor((y - at.top) / at.size + state.y)];
  const isInside = across >= 0 && y >= at.top && across < at.wide && y < at.top + at.high;
  return isInside && column < head.columns && row < head.rows ? { query: head.queries.items[row].cells[0], key: head.keys.items[column].cells[0] } : null;
}

/** The weight of the cell that is looked at as a sentence; with a pinned head both weights and their difference.
 * `isSpoken`: for those who do not see where the cell is. */
export function cellText(place = state.hover ?? state, isSpoken = false) {
  const heads = headsShown();
  if (!heads) return "";
  const { row, column } = spot(heads[0], place);
  const [query, key] = [named(heads[0].queries.items[row]), named(heads[0].keys.items[column])];
  const parts = heads.map((head) => `${head.name ?? ""} ${weightOf(head, row, column)}`.trim());
  return `${isSpoken ? `row ${query}, column ${key}` : `${query} → ${key}`}: ${parts.join(" · ")}`;
}

function weightOf(head, row, column) {
  if (!head.seen[row * head.columns + column]) return head.isLeft?.[row] === false ? "too little weight is left to divide" : "masked";
  const [weight, error] = [head.weight(row, column), head.error(row, column)];
  if (head.isExact && !error && !head.name) return numberText(weight);
  const isOneOfTwo = head.name && !head.isSigned;
  return `${weightText(weight, error)}${error && weight && !isOneOfTwo ? ` ± ${error.toPrecision(2)}` : ""}`;
}

function tell() {
  fetchShown();
  const head = headShown();
  if (!head) return;
  element("readout").textContent = cellText();
  legend(headsShown());
  element("head-title").textContent = `Head ${state.layer}.${state.head}`;
  element("head-pattern").textContent = patternText(state);
  element("head-exact").textContent = head.isExact ? `exact: float32, ${about.dtype === "float64" ? "rounded" : "as computed"}` : "";
  const [cell, { row, column }] = [element("matrix-cell"), spot(head, state)];
  const label = `Weights of head ${head.name ?? `${state.layer}.${state.head}`}${state.pinned && head.name ? ` beside ${state.pinned.layer}.${state.pinned.head}` : ""}: ${head.rows} queries by ${head.columns} keys`;
  set(element("matrix-grid"), { "aria-label": label, "aria-rowcount": head.rows, "aria-colcount": head.columns });
  set(cell.parentElement, { "aria-rowindex": row + 1 });
  set(cell, { "aria-colindex": column + 1, "aria-label": cellText(state, true) });
}

/** Zoom by a factor, keeping a place of the canvas where it is; without a place, the chosen cell. */
export function zoom(factor, point) {
  const head = headShown();
  if (!head) return;
  const before = layout(head);
  const most = Math.max(1, LARGEST_CELL / (before.size / state.zoom));
  const fixed = point
    ? [(point[0] - before.left) / before.size + state.x, (point[1] - before.top) / before.size + state.y]
    : [spot(head).column + 0.5, spot(head).row + 0.5];
  const to = factor === 0 ? 1 : clamp(state.zoom * factor, 1, most);
  const after = state.zoom / to;
  change({ zoom: to, x: fixed[0] - (fixed[0] - state.x) * after, y: fixed[1] - (fixed[1] - state.y) * after });
}

/** Scroll so that the chosen cell is seen. */
function follow() {
  const head = headShown();
  if (!head || state.zoom === 1 || state.hover || dragged) return;
  const [at, { row, column }] = [layout(head), spot(head)];
  state.x = clamp(state.x, column + 1 - at.columns, column);
  state.y = clamp(state.y, row + 1 - at.rows, row);
}

function drag(event) {
  const { size } = layout(headShown());
  const [x, y] = pointOn(canvas, event);
  dragged.hasMoved ||= Math.hypot(x - dragged.from[0], y - dragged.from[1]) > 4;
  change({ x: dragged.x - (x - dragged.from[0]) / size, y: dragged.y - (y - dragged.from[1]) / size });
}

export function startMatrix() {
  canvas.addEventListener("pointermove", (event) => (dragged ? drag(event) : change({ hover: cellUnder(event) })));
  canvas.addEventListener("pointerleave", () => change({ hover: null }));
  canvas.addEventListener("pointerdown", (event) => {
    if (state.zoom > 1) dragged = { from: pointOn(canvas, event), x: state.x, y: state.y, hasMoved: false };
  });
  window.addEventListener("pointerup", () => setTimeout(() => (dragged = null)));
  canvas.addEventListener("click", (event) => {
    const cell = cellUnder(event);
    if (cell && !dragged?.hasMoved) change({ ...cell, hover: null });
  });
  const wheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.25 : 0.8, pointOn(canvas, event));
  };
  canvas.addEventListener("wheel", wheel, { passive: false });
  onChange(tell);
  onChange(follow);
  onChange(draw, canvas.parentElement);
}
