// All heads by their numbers: a scatter of two metrics, and a list that is filtered by pattern and sorted.
import { assign, element, every, fill, hypot, isAt, make, min, on, onPointer, PI, pointOn, set, shortName, write } from "../page.js";
import { fontOf, sharpen, tones } from "../canvases.js";
import { metricOf, onThisText, patternOf, placesOf } from "../heads.js";
import { change, metricShown, onChange, state } from "../state.js";
import { short } from "../numbers.js";
import { fillList, listLine, numberCell } from "../lists.js";
import { extentOf, options, tell } from "./overview.js";

const ROOM = 40; // beside the dots, for the numbers of the axes
const NEAR = 14; // pixels from a dot to the pointer
const scatter = element("scatter");
const names = element("head-names");
let dots = [];
let order = { column: 0, way: 1 };

const patternName = (place) => patternOf(place)?.[0] ?? "no pattern";
const isListed = (place) => !state.pattern || patternName(place) === state.pattern;

/** An axis of the scatter: from 0, or the lowest value below it, to the highest one. */
function axisOf(metric) {
  const [low, high] = extentOf(metric);
  return { low: short(low), high: short(high), part: (place) => (metricOf(place, metric) - low) / (high - low || 1) };
}

function drawScatter(places) {
  const side = min(scatter.parentElement.clientWidth, 360);
  const length = side - ROOM - 10;
  const pen = sharpen(scatter, side, side);
  const tone = tones(scatter);
  const metrics = [state.across, metricShown()];
  const known = places.filter((place) => metrics.every((metric) => metricOf(place, metric) !== null));
  const [across, up] = metrics.map(axisOf);
  assign(pen, { font: fontOf(11), fillStyle: tone.ink, strokeStyle: tone.line, textAlign: "right" });
  pen.strokeRect(ROOM, 6, length, length);
  pen.fillText(up.high, ROOM - 4, 14);
  pen.fillText(up.low, ROOM - 4, length + 6);
  pen.fillText(across.high, ROOM + length, side - 12);
  pen.textAlign = "left";
  pen.fillText(across.low, ROOM, side - 12);
  dots = known.map((place) => ({ place, x: ROOM + 6 + across.part(place) * (length - 12), y: length - up.part(place) * (length - 12) }));
  dots.forEach((dot) => drawDot(pen, dot, tone));
  return `across: ${onThisText(metrics[0])}, up: ${onThisText(metrics[1])}, ${known.length} heads${known.length < places.length ? `; ${places.length - known.length} have no value` : ""}`;
}

/** A dot, pale if the list leaves its head out; ringed if it is the chosen head or the pinned one. */
function drawDot(pen, { place, x, y }, tone) {
  const circle = (radius) => {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * PI);
  };
  assign(pen, { globalAlpha: isListed(place) ? 0.75 : 0.2, fillStyle: tone.dot });
  circle(4);
  pen.fill();
  assign(pen, { globalAlpha: 1, lineWidth: 2, strokeStyle: isAt(place, state) ? tone.accent : tone.ink });
  circle(7);
  if (isAt(place, state) || isAt(place, state.pinned)) pen.stroke();
}

function headNear(event) {
  const [x, y] = pointOn(scatter, event);
  const distance = (dot) => hypot(dot.x - x, dot.y - y);
  const [near] = dots.filter((dot) => distance(dot) <= NEAR).sort((one, other) => distance(one) - distance(other));
  return near?.place ?? null;
}

/** The columns of the list: how each is named, what it is sorted by, and its cell. */
function columnsOf() {
  const metrics = [...new Set([metricShown(), state.across])];
  return [
    ["head", (place) => place.layer * 1e6 + place.head],
    ["pattern", (place) => patternOf(place)?.[1] ?? -1, (place) => make("td", "pattern", patternOf(place)?.[2] ?? "–")],
    ...metrics.map((name) => [onThisText(name), (place) => metricOf(place, name) ?? -Infinity, (place) => numberCell(short(metricOf(place, name)))]),
  ];
}

function drawList(all) {
  const columns = columnsOf();
  order.column = min(order.column, columns.length - 1);
  const { column, way } = order;
  const [sorted, value] = columns[column];
  const places = all.filter(isListed).sort((one, other) => way * (value(one) - value(other)));
  nameSorted(columns.map(([name]) => name));
  fillList(element("head-list"), places.map((place) =>
    listLine(isAt(place, state), () => change(place), shortName(place), (name) => [make("td", "", name), ...columns.slice(1).map(([, , cell]) => cell(place))])));
  return `${places.length} heads, sorted by ${sorted}`;
}

/** The columns that sort the list, and which one does. */
const nameSorted = (columns) => every("th", names).forEach((title, column) => {
  const isSorted = column === order.column;
  const [mark, sort] = !isSorted ? ["", "none"] : order.way > 0 ? [" ↑", "ascending"] : [" ↓", "descending"];
  title.hidden = column >= columns.length;
  set(title, { "aria-sort": sort }).firstChild.textContent = columns[column] + mark;
});

/** Sort by heads from the first one, by others from the largest one; again: the other way. */
function sortBy({ target }) {
  const column = target.closest("th").cellIndex;
  order = { column, way: column === order.column ? -order.way : column ? -1 : 1 };
  change({});
}

function drawPlaces() {
  const places = placesOf(state.kind);
  const patterns = [...new Set(places.map(patternName))].sort();
  fill("pattern", [new Option("all patterns", ""), ...options(patterns)]);
  if (!patterns.includes(state.pattern)) state.pattern = "";
  if (state.overview !== "map") write("map-about", (state.overview === "list" ? drawList : drawScatter)(places));
}

on(names, "click", sortBy);
onPointer(scatter, headNear, change, tell);
onChange(drawPlaces, scatter.parentElement);
