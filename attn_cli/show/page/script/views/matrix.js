// One head's matrix, with labels: zoom, pan, and the row and column under the pointer.
import { abs, assign, ceil, clamp, element, floor, hypot, max, min, on, onClicks, onPointer, PI, pointOn } from "../page.js";
import { fontOf, place, sharpen, tones, within } from "../canvases.js";
import { change, chosenBy, state } from "../state.js";
import { bitmapOf, rampOf, scaleOf } from "../colours.js";
import { fitted } from "../numbers.js";
import { headShown, headsShown, onHeads, spot } from "../shown.js";

const LABEL_LINE = 13; // pixels that a label needs
const LARGEST_CELL = 34;
const MOST_GUTTER = 110;
const GAP = 16; // between heads side by side, and the height of their names
const matrix = element("matrix");
const bitmaps = new WeakMap();
let dragged = null;

/** The matrix as a picture; masked cells are transparent. */
function paintingOf(head) {
  const ramp = rampOf(head);
  const look = `${ramp} ${state.scale}`;
  const before = bitmaps.get(head);
  if (before?.look === look) return before.bitmap;
  const bitmap = bitmapOf(head.columns, head.rows, (cell) => [null, head.values[cell]][head.seen[cell]], ramp, scaleOf(head));
  bitmaps.set(head, { look, bitmap });
  return bitmap;
}

/** Where cells stand: gutters for labels, the size of a cell, and the cells that are seen. */
function layout(head) {
  const width = matrix.parentElement.clientWidth;
  const tallest = min(width, max(420, innerHeight - 260));
  const count = headsShown().length;
  const [left, labelled] = [head.queries, head.keys].map((side) => gutter(side, width));
  const top = labelled + (count > 1 ? GAP : 0);
  const room = (width - left - 2 + GAP) / count - GAP;
  const least = min(room / head.columns, (tallest - top - 2) / head.rows, LARGEST_CELL);
  const size = min(least * state.zoom, max(least, LARGEST_CELL));
  const [wide, high] = [min(head.columns * least, room), head.rows * least];
  const [columns, rows] = [wide / size, high / size];
  state.x = clamp(state.x, 0, head.columns - columns);
  state.y = clamp(state.y, 0, head.rows - rows);
  return { left, top, labelled, size, columns, rows, wide, high, count };
}

function gutter({ items }, width) {
  const longest = items.reduce((most, { label }) => max(most, label.length), 0);
  return min(MOST_GUTTER, width / 4, 34 + longest * 8);
}

function drawMatrix(heads) {
  if (state.view !== "matrix") return;
  const at = layout(heads[0]);
  const { left, top, wide, high, size, count } = at;
  const pen = sharpen(matrix, left + count * (wide + GAP) - GAP + 2, top + high + 2);
  heads.forEach((head, index) => panel(pen, head, { ...at, index, left: left + index * (wide + GAP) }));
  const [x, y] = cornerOf(spot(heads[0], state), at);
  place(element("matrix-cell"), { left: x, top: y, width: size, height: size });
}

const cornerOf = ({ row, column }, { left, top, size }) => [left + (column - state.x) * size, top + (row - state.y) * size];

/** One of the heads that stand side by side, with a cross over its row and its column. */
function panel(pen, head, at) {
  const { left, top, wide, high, size, count } = at;
  const { masked, ink, accent } = tones(matrix);
  assign(pen, { font: fontOf(12), textAlign: "left", fillStyle: masked, strokeStyle: accent, lineWidth: 1 });
  pen.fillRect(left, top, wide, high);
  pen.imageSmoothingEnabled = size * devicePixelRatio < 1;
  pen.drawImage(paintingOf(head), state.x, state.y, at.columns, at.rows, left, top, wide, high);
  pen.fillStyle = ink;
  if (count > 1) pen.fillText(head.name, left, GAP - 4);
  const focus = spot(head);
  labels(pen, head, at, focus, (isChosen) => isChosen ? accent : ink);
  const [x, y] = cornerOf(focus, at);
  within(pen, left - 1, top - 1, wide + 2, high + 2);
  pen.strokeRect(left - 1, y - 0.5, wide + 2, size + 1);
  pen.strokeRect(x - 0.5, top - 1, size + 1, high + 2);
  pen.restore();
}

/** Labels of as many rows (of the first head) and columns as there is room for, those of the cross always. */
function labels(pen, { queries, keys }, { left, top, labelled, wide, high, size, index }, { row, column }, toneOf) {
  const every = ceil(LABEL_LINE / size);
  const each = ({ items }, first, length, chosen, drawLabel) => {
    for (let index = floor(first); index < min(first + length / size, items.length); index += 1) {
      const [along, isChosen] = [(index - first + 0.5) * size, index === chosen];
      const isNamed = index % every === 0 && (every === 1 || abs(index - chosen) >= every);
      pen.fillStyle = toneOf(isChosen);
      if ((isChosen || isNamed) && along >= 0 && along <= length) drawLabel(items[index], along);
    }
  };
  if (!index) each(queries, state.y, high, row, (item, y) => tokenLabel(pen, item, left - 6, top + y, left - 10, 0));
  each(keys, state.x, wide, column, (item, x) => tokenLabel(pen, item, left + x, top - 6, labelled - 10, -PI / 2));
}

/** A label after its number, as much of it as there is room for: it ends at the place, or goes up from it. */
function tokenLabel(pen, { position, label }, x, y, room, angle) {
  const widthOf = (text) => pen.measureText(text).width;
  const number = `${position} `;
  const shown = fitted(pen, label, room - widthOf(number));
  const start = angle ? 0 : -widthOf(number + shown);
  const line = LABEL_LINE / 2 + 1;
  within(pen, ...(angle ? [x - line, y - room - 4, LABEL_LINE + 2, room + 10] : [0, y - line, x + 6, LABEL_LINE + 2])); // combining marks tower
  pen.textBaseline = "middle";
  pen.translate(x, y);
  pen.rotate(angle);
  pen.fillText(number, start, 0);
  pen.fillText(shown, start + widthOf(number), 0);
  pen.restore();
}

/** The part of the state that chooses what is under the pointer: a cell, or by its label a row or a column. */
function cellUnder(event) {
  const head = headShown();
  if (!head) return null;
  const { left, top, wide, high, size } = layout(head);
  const [x, y] = pointOn(matrix, event);
  const [across, down] = [(x - left) % (wide + GAP), y - top]; // in one of the heads
  const at = ({ items }, along, length, first) => along < 0 || along >= length ? null : items[floor(along / size + first)];
  const [row, column] = [at(head.queries, down, high, state.y), at(head.keys, across, wide, state.x)];
  if (row && column) return { query: row.cells[0], key: column.cells[0] };
  if (row && x < left) return chosenBy(true, row.cells[0]);
  return column && down < 0 ? chosenBy(false, column.cells[0]) : null;
}

/** Choose the cell of the difference that is the largest. */
function toLargest() {
  const { strongest, columns, queries, keys } = headsShown()[2];
  change({ query: queries.items[floor(strongest / columns)].cells[0], key: keys.items[strongest % columns].cells[0], hover: null });
}

/** Zoom by a factor, keeping a place of the canvas where it is; without a place, the chosen cell. */
export function zoom(factor, point) {
  const head = headShown();
  if (!head) return;
  const { left, top, size } = layout(head);
  const { row, column } = spot(head);
  const [x, y] = point ? [(point[0] - left) / size + state.x, (point[1] - top) / size + state.y] : [column + 0.5, row + 0.5];
  const to = factor ? clamp(state.zoom * factor, 1, max(1, (LARGEST_CELL * state.zoom) / size)) : 1;
  const after = state.zoom / to;
  change({ zoom: to, x: x - (x - state.x) * after, y: y - (y - state.y) * after });
}

/** Scroll so that the chosen cell is seen. */
function scrollMatrix([head]) {
  if (state.zoom === 1 || state.hover || dragged) return;
  const [{ columns, rows }, { row, column }] = [layout(head), spot(head)];
  state.x = clamp(state.x, column + 1 - columns, column);
  state.y = clamp(state.y, row + 1 - rows, row);
}

function drag(event) {
  const { size } = layout(headShown());
  const [x, y] = pointOn(matrix, event).map((end, side) => end - dragged.from[side]);
  dragged.hasMoved ||= hypot(x, y) > 4;
  change({ x: dragged.x - x / size, y: dragged.y - y / size });
}

onPointer(matrix, cellUnder, (cell) => dragged?.hasMoved || change({ ...cell, hover: null }), (found) => dragged || change({ hover: found && { query: state.query, key: state.key, ...found } }));
onClicks({ largest: toLargest });
on(matrix, "pointermove", (event) => dragged && drag(event));
on(matrix, "pointerdown", (event) => {
  if (state.zoom > 1) dragged = { from: pointOn(matrix, event), x: state.x, y: state.y, hasMoved: false };
});
on(window, "pointerup", () => setTimeout(() => (dragged = null)));
const wheel = (event) => {
  if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.25 : 0.8, pointOn(matrix, event));
};
on(matrix, "wheel", wheel, { passive: false });
onHeads(scrollMatrix);
onHeads(drawMatrix, matrix.parentElement);
