// One head's matrix, with labels: zoom, pan, and the row and column under the pointer.
import { about, element, pointOn, set, sharpen } from "../page.js";
import { headAt, headAtHand, patternOf } from "../heads.js";
import { change, onChange, state } from "../state.js";
import { pixels, themeOf } from "../colours.js";
import { charactersOf, errorText, labelOf, named, numberText, weightText } from "../numbers.js";

const LINE = 13; // pixels that a label needs
const LARGEST_CELL = 34;
const MOST_GUTTER = 110;
const canvas = element("matrix");
let drawn = { head: null, theme: "", bitmap: null };
let dragged = null;

/** The matrix as a picture with one pixel a cell; masked cells are transparent. */
function bitmapOf(head, theme) {
  if (drawn.head === head && drawn.theme === theme) return drawn.bitmap;
  const bitmap = new OffscreenCanvas(head.columns, head.rows);
  const image = new ImageData(head.columns, head.rows);
  const cells = new Uint32Array(image.data.buffer);
  const colours = pixels(theme);
  const scale = head.unit * 255;
  for (let cell = 0; cell < cells.length; cell += 1) {
    if (head.seen[cell]) cells[cell] = colours[Math.round(head.values[cell] * scale)];
  }
  bitmap.getContext("2d").putImageData(image, 0, 0);
  drawn = { head, theme, bitmap };
  return bitmap;
}

/** Where cells stand: gutters for labels, the size of a cell, and the cells that are seen. */
function layout(head) {
  const width = canvas.parentElement.clientWidth;
  const tallest = Math.min(width, Math.max(420, window.innerHeight - 260));
  const [left, top] = [gutter(head, "queries", width), gutter(head, "keys", width)];
  const fitted = Math.min((width - left - 2) / head.columns, (tallest - top - 2) / head.rows, LARGEST_CELL);
  const size = Math.min(fitted * state.zoom, Math.max(fitted, LARGEST_CELL));
  const [wide, high] = [Math.min(head.columns * fitted, width - left - 2), head.rows * fitted];
  const [columns, rows] = [wide / size, high / size];
  state.x = Math.min(Math.max(state.x, 0), head.columns - columns);
  state.y = Math.min(Math.max(state.y, 0), head.rows - rows);
  return { left, top, size, columns, rows, wide, high };
}

function gutter(head, side, width) {
  const labels = about.texts[about.kinds[head.place.kind][side]].labels;
  const longest = labels.reduce((most, label) => Math.max(most, label.length), 0);
  return Math.min(MOST_GUTTER, width / 4, 34 + longest * 8);
}

function draw() {
  const head = headAtHand(state);
  if (!head) return;
  const at = layout(head);
  const context = sharpen(canvas, at.left + at.wide + 2, at.top + at.high + 2);
  const style = getComputedStyle(canvas);
  context.fillStyle = style.getPropertyValue("--masked");
  context.fillRect(at.left, at.top, at.wide, at.high);
  context.imageSmoothingEnabled = at.size * (window.devicePixelRatio || 1) < 1;
  const bitmap = bitmapOf(head, themeOf(state));
  context.drawImage(bitmap, state.x, state.y, at.columns, at.rows, at.left, at.top, at.wide, at.high);
  labels(context, head, at, style);
  cross(context, at, state.hover ?? state, style.getPropertyValue("--accent"));
  placeCell(at);
}

/** The chosen cell as an element over the canvas, for keyboards and screen readers. */
function placeCell(at) {
  const { style } = element("matrix-cell");
  style.left = `${at.left + (state.key - state.x) * at.size}px`;
  style.top = `${at.top + (state.query - state.y) * at.size}px`;
  style.width = style.height = `${at.size}px`;
}

/** Labels of as many rows and columns as there is room for, those of the cross always. */
function labels(context, head, at, style) {
  context.font = "12px system-ui, sans-serif";
  const every = Math.ceil(LINE / at.size);
  const focus = state.hover ?? state;
  const [ink, accent] = [style.color, style.getPropertyValue("--accent")];
  const each = (first, count, chosen, label) => {
    for (let index = Math.floor(first); index < first + count; index += 1) {
      const isClose = every > 1 && Math.abs(index - chosen) < every;
      const isNamed = index === chosen || (index % every === 0 && !isClose);
      if (isNamed) label(index, (index - first + 0.5) * at.size, index === chosen ? accent : ink);
    }
  };
  context.textBaseline = "middle";
  each(state.y, at.rows, focus.query, (index, y, colour) => {
    if (y < 0 || y > at.high) return;
    within(context, [0, at.top + y - LINE / 2 - 1, at.left, LINE + 2]);
    rowLabel(context, head, index, at.left - 6, at.top + y, colour);
    context.restore();
  });
  each(state.x, at.columns, focus.key, (index, x, colour) => {
    if (x < 0 || x > at.wide) return;
    within(context, [at.left + x - LINE / 2 - 1, 0, LINE + 2, at.top]);
    context.translate(at.left + x, at.top - 6);
    context.rotate(-Math.PI / 2);
    columnLabel(context, head, index, at.top - 10, colour);
    context.restore();
  });
}

function rowLabel(context, head, index, right, y, colour) {
  const { position, label } = labelOf(head.place.kind, "queries", index);
  context.fillStyle = colour;
  context.textAlign = "right";
  const number = `${position} `;
  const shown = fitted(context, label, right - 4 - context.measureText(number).width);
  context.fillText(shown, right, y);
  context.fillText(number, right - context.measureText(shown).width, y);
}

function columnLabel(context, head, index, room, colour) {
  const { position, label } = labelOf(head.place.kind, "keys", index);
  context.fillStyle = colour;
  context.textAlign = "left";
  const number = `${position} `;
  const after = context.measureText(number).width;
  context.fillText(number, 0, 0);
  context.fillText(fitted(context, label, room - after), after, 0);
}

/** Draw only within a rectangle, until `restore`: combining marks tower over their line. */
function within(context, rectangle) {
  context.save();
  context.beginPath();
  context.rect(...rectangle);
  context.clip();
}

/** As much of a label as there is room for. */
function fitted(context, label, room) {
  if (context.measureText(label).width <= room) return label;
  const characters = charactersOf(label);
  while (characters.length > 1 && context.measureText(`${characters.join("")}…`).width > room) characters.pop();
  return `${characters.join("")}…`;
}

/** The row and the column that meet in the cell. */
function cross(context, at, { query, key }, accent) {
  const [x, y] = [at.left + (key - state.x) * at.size, at.top + (query - state.y) * at.size];
  within(context, [at.left - 1, at.top - 1, at.wide + 2, at.high + 2]);
  context.strokeStyle = accent;
  context.lineWidth = 1;
  context.strokeRect(at.left - 1, y - 0.5, at.wide + 2, at.size + 1);
  context.strokeRect(x - 0.5, at.top - 1, at.size + 1, at.high + 2);
  context.restore();
}

function cellUnder(event) {
  const head = headAtHand(state);
  if (!head) return null;
  const at = layout(head);
  const [x, y] = pointOn(canvas, event);
  const [key, query] = [Math.floor((x - at.left) / at.size + state.x), Math.floor((y - at.top) / at.size + state.y)];
  const isInside = x >= at.left && y >= at.top && x < at.left + at.wide && y < at.top + at.high;
  return isInside && key < head.columns && query < head.rows ? { query, key } : null;
}

/** The weight of a cell as a sentence; `isSpoken`: for those who do not see where the cell is. */
export function cellText(head, { query, key }, isSpoken = false) {
  const { kind } = head.place;
  const [row, column] = [named(kind, "queries", query), named(kind, "keys", key)];
  const names = isSpoken ? `row ${row}, column ${column}` : `${row} → ${column}`;
  if (!head.seen[query * head.columns + key]) return `${names}: masked`;
  const weight = head.weight(query, key);
  if (head.isExact) return `${names}: ${numberText(weight)}`;
  return `${names}: ${weightText(weight)}${weight === 0 ? "" : ` ± ${errorText()}`}`;
}

function tell() {
  const head = headAtHand(state);
  if (!head) return headAt(state).then(() => change({}));
  element("readout").textContent = cellText(head, state.hover ?? state);
  const pattern = patternOf(state);
  element("head-title").textContent = `Head ${state.layer}.${state.head}`;
  element("head-pattern").textContent = pattern ? `${pattern[0]} ${pattern[1].toFixed(2)}` : "";
  element("head-exact").textContent = head.isExact ? `exact: float32, ${about.dtype === "float64" ? "rounded" : "as computed"}` : "";
  const [grid, cell] = [element("matrix-grid"), element("matrix-cell")];
  const label = `Weights of head ${state.layer}.${state.head}: ${head.rows} queries by ${head.columns} keys`;
  set(grid, { "aria-label": label, "aria-rowcount": head.rows, "aria-colcount": head.columns });
  set(cell.parentElement, { "aria-rowindex": state.query + 1 });
  set(cell, { "aria-colindex": state.key + 1, "aria-label": cellText(head, state, true) });
  return undefined;
}

/** Zoom by a factor, keeping a place of the canvas where it is; without a place, the chosen cell. */
export function zoom(factor, point) {
  const head = headAtHand(state);
  if (!head) return;
  const before = layout(head);
  const most = Math.max(1, LARGEST_CELL / (before.size / state.zoom));
  const fixed = point
    ? [(point[0] - before.left) / before.size + state.x, (point[1] - before.top) / before.size + state.y]
    : [state.key + 0.5, state.query + 0.5];
  const to = factor === 0 ? 1 : Math.min(Math.max(state.zoom * factor, 1), most);
  const after = state.zoom / to;
  change({ zoom: to, x: fixed[0] - (fixed[0] - state.x) * after, y: fixed[1] - (fixed[1] - state.y) * after });
}

/** Scroll so that the chosen cell is seen. */
function follow() {
  const head = headAtHand(state);
  if (!head || state.zoom === 1 || state.hover || dragged) return;
  const at = layout(head);
  state.x = Math.min(Math.max(state.x, state.key + 1 - at.columns), state.key);
  state.y = Math.min(Math.max(state.y, state.query + 1 - at.rows), state.query);
}

function drag(event) {
  const head = headAtHand(state);
  const { size } = layout(head);
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
  new ResizeObserver(draw).observe(canvas.parentElement);
  onChange(tell);
  onChange(follow);
  onChange(draw);
}
