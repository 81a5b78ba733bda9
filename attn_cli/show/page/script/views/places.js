// All heads by their numbers: a scatter of two metrics, and a list that is filtered by pattern and sorted.
import { element, every, fill, isAt, make, min, on, onPointer, pointOn, shortName, write } from "../page.js";
import { fontOf, sharpen, tones } from "../canvases.js";
import { metricOf, patternOf, patternText, placesOf } from "../heads.js";
import { change, metricShown, onChange, state } from "../state.js";
import { short } from "../numbers.js";
import { button, fillList, listLine, numberCell } from "../lists.js";
import { extentOf, options, tell } from "./overview.js";

const ROOM = 40; // beside the dots, for the numbers of the axes
const NEAR = 14; // pixels from a dot to the pointer
const scatterCanvas = element("scatter");
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
  const side = min(scatterCanvas.parentElement.clientWidth, 360);
  const length = side - ROOM - 10;
  const context = sharpen(scatterCanvas, side, side);
  const tone = tones(scatterCanvas);
  const metrics = [state.across, metricShown()];
  const known = places.filter((place) => metrics.every((metric) => metricOf(place, metric) !== null));
  const [across, up] = metrics.map(axisOf);
  Object.assign(context, { font: fontOf(11), fillStyle: tone.ink, strokeStyle: tone.line, textAlign: "right" });
  context.strokeRect(ROOM, 6, length, length);
  context.fillText(up.high, ROOM - 4, 14);
  context.fillText(up.low, ROOM - 4, length + 6);
  context.fillText(across.high, ROOM + length, side - 12);
  context.textAlign = "left";
  context.fillText(across.low, ROOM, side - 12);
  dots = known.map((place) => ({ place, x: ROOM + 6 + across.part(place) * (length - 12), y: length - up.part(place) * (length - 12) }));
  dots.forEach((dot) => drawDot(context, dot, tone));
  return `across: ${metrics[0]}, up: ${metrics[1]}, ${known.length} heads${known.length < places.length ? `; ${places.length - known.length} have no value` : ""}`;
}

/** A dot, pale if the list leaves its head out; ringed if it is the chosen head or the pinned one. */
function drawDot(context, { place, x, y }, tone) {
  const circle = (radius) => {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
  };
  Object.assign(context, { globalAlpha: isListed(place) ? 0.75 : 0.2, fillStyle: tone.dot });
  circle(4);
  context.fill();
  Object.assign(context, { globalAlpha: 1, lineWidth: 2, strokeStyle: isAt(place, state) ? tone.accent : tone.ink });
  circle(7);
  if (isAt(place, state) || isAt(place, state.pinned)) context.stroke();
}

function headNear(event) {
  const [x, y] = pointOn(scatterCanvas, event);
  const distance = (dot) => Math.hypot(dot.x - x, dot.y - y);
  const [near] = dots.filter((dot) => distance(dot) <= NEAR).sort((one, other) => distance(one) - distance(other));
  return near?.place ?? null;
}

/** The columns of the list: how each is named, what it is sorted by, and its cell. */
function columnsOf() {
  const metrics = [...new Set([metricShown(), state.across])];
  return [
    ["head", (place) => place.layer * 1e6 + place.head],
    ["pattern", (place) => patternOf(place)?.[1] ?? -1, (place) => make("td", "pattern", patternText(place) || "–")],
    ...metrics.map((name) => [name, (place) => metricOf(place, name) ?? -Infinity, (place) => numberCell(short(metricOf(place, name)))]),
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

/** Buttons that sort the list, by heads from the first one, by others from the largest one. */
function nameSorted(columns) {
  const focused = every("button", names).indexOf(document.activeElement);
  fill("head-names", columns.map((name, column) => {
    const isSorted = column === order.column;
    const [mark, sort] = !isSorted ? ["", "none"] : order.way > 0 ? [" ↑", "ascending"] : [" ↓", "descending"];
    const title = button({}, name + mark);
    on(title, "click", () => {
      order = { column, way: isSorted ? -order.way : column ? -1 : 1 };
      change({});
    });
    return make("th", { scope: "col", "aria-sort": sort }, title);
  }));
  every("button", names)[focused]?.focus();
}

function drawPlaces() {
  const places = placesOf(state.kind);
  const patterns = [...new Set(places.map(patternName))].sort();
  fill("pattern", [new Option("all patterns", ""), ...options(patterns)]);
  if (!patterns.includes(state.pattern)) state.pattern = "";
  if (state.overview !== "map") write("map-about", (state.overview === "list" ? drawList : drawScatter)(places));
}

onPointer(scatterCanvas, headNear, change, tell);
onChange(drawPlaces, scatterCanvas.parentElement);
