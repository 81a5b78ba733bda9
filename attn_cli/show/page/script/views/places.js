// All heads by their numbers: a scatter of two metrics, and a list that is filtered by pattern and sorted.
import { element, make, onPointer, reachIn, sharpen, tones } from "../page.js";
import { metricOf, patternOf, patternText, placesOf } from "../heads.js";
import { change, isAt, metricShown, onChange, state } from "../state.js";
import { short } from "../numbers.js";
import { tell } from "./overview.js";

const ROOM = 40; // beside the dots, for the numbers of the axes
const NEAR = 14; // pixels from a dot to the pointer
const canvas = element("scatter");
const names = element("head-names");
const list = element("head-list");
let dots = [];
let order = { column: 0, way: 1 };

const patternName = (place) => patternOf(place)?.[0] ?? "no pattern";
const isListed = (place) => !state.pattern || patternName(place) === state.pattern;

/** An axis of the scatter: from 0, or the lowest value below it, to the highest one. */
function axisOf(metric, places) {
  const values = places.map((place) => metricOf(place, metric));
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  return { low: short(low), high: short(high), part: (place) => (metricOf(place, metric) - low) / (high - low || 1) };
}

function drawScatter(places) {
  const side = Math.min(canvas.parentElement.clientWidth, 360);
  const length = side - ROOM - 10;
  const context = sharpen(canvas, side, side);
  const tone = tones(canvas);
  const metrics = [state.across, metricShown()];
  const known = places.filter((place) => metrics.every((metric) => metricOf(place, metric) !== null));
  const [across, up] = metrics.map((metric) => axisOf(metric, known));
  Object.assign(context, { font: "11px system-ui, sans-serif", fillStyle: tone.ink, strokeStyle: tone.line, textAlign: "right" });
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

function headUnder([x, y]) {
  const near = dots.map((dot) => ({ ...dot, distance: Math.hypot(dot.x - x, dot.y - y) })).sort((one, other) => one.distance - other.distance);
  return near[0]?.distance <= NEAR ? near[0].place : null;
}

function drawList(all) {
  const columns = [
    { name: "head", value: (place) => place.layer * 1e6 + place.head, text: (place) => `${place.layer}.${place.head}` },
    { name: "pattern", value: (place) => patternOf(place)?.[1] ?? -1, text: (place) => patternText(place) || "–" },
    ...[...new Set([metricShown(), state.across])].map((name) => ({ name, value: (place) => metricOf(place, name) ?? -Infinity, text: (place) => short(metricOf(place, name)) })),
  ];
  const { name: sorted, value } = columns[order.column] ?? columns[2];
  const places = all.filter(isListed).sort((one, other) => order.way * (value(one) - value(other)));
  const focused = document.activeElement;
  const header = [...names.querySelectorAll("button")].indexOf(focused);
  names.replaceChildren(...columns.map(({ name }, column) => {
    const button = make("button", `${name}${name === sorted ? (order.way > 0 ? " ↑" : " ↓") : ""}`, "plain", { type: "button" });
    button.addEventListener("click", () => {
      order = { column, way: name === sorted ? -order.way : column ? -1 : 1 };
      change({});
    });
    return make("th", "", "", { scope: "col", "aria-sort": name !== sorted ? "none" : order.way > 0 ? "ascending" : "descending" }, button);
  }));
  const isInList = list.contains(focused);
  list.replaceChildren(...places.map((place) => {
    const isChosen = isAt(place, state);
    const button = (name) => make("button", name, "plain", { type: "button", tabindex: -1, ...(isChosen && { "aria-current": true }) });
    const cells = columns.map(({ text }, index) => (index ? make("td", text(place), index === 1 ? "pattern" : "number") : make("td", "", "", {}, button(text(place)))));
    const row = make("tr", "", isChosen ? "chosen" : "", {}, ...cells);
    row.addEventListener("click", () => change(place));
    return row;
  }));
  names.querySelectorAll("button")[header]?.focus();
  reachIn(list, isInList);
  return `${places.length} heads, sorted by ${sorted}`;
}

function draw() {
  const places = placesOf(state.kind);
  const patterns = [...new Set(places.map(patternName))].sort();
  element("pattern").replaceChildren(new Option("all patterns", ""), ...patterns.map((name) => new Option(name, name)));
  if (!patterns.includes(state.pattern)) state.pattern = "";
  if (state.overview !== "map") element("map-about").textContent = (state.overview === "list" ? drawList : drawScatter)(places);
}

export function startPlaces() {
  onPointer(canvas, headUnder, change, (place) => tell(place ?? state));
  onChange(draw, canvas.parentElement);
}
