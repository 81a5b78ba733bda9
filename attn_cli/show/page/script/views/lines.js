// Lines from queries to keys between two columns of tokens: the strong ones, and all of the chosen token.
import { assign, clamp, element, floor, kept, max, min, on, onPointer, pointOn, write } from "../page.js";
import { fontOf, sharpen, tones, within } from "../canvases.js";
import { change, chosenBy, isFrom, state } from "../state.js";
import { colour, partOf, scaleOf, themeOf } from "../colours.js";
import { fitted, named } from "../numbers.js";
import { headShown, headsShown, onHeads, spot } from "../shown.js";

const TOKEN_LINE = 18; // pixels of a token
const STRONG = [0.02, 0.05, 0.1, 0.2, 0.4];
const FEW = 3; // lines of a token, on average
const OF_CHOSEN = 0.01; // as `page.html` says
const linesCanvas = element("lines");
const box = element("lines-box");
const strong = new WeakMap();

/** Cells that reach the lowest of the `STRONG` weights that only a few cells reach. */
const strongOf = (head) =>
  kept(strong, head, () => {
    const all = [...head.values.keys()].filter((cell) => head.values[cell] >= STRONG[0] && !head.keys.items[cell % head.columns].isHidden);
    const reached = STRONG.map((least) => ({ least, cells: all.filter((cell) => head.values[cell] >= least) }));
    return reached.find(({ cells }) => cells.length <= FEW * max(head.rows, head.columns)) ?? reached.at(-1);
  });

/** Only what is scrolled into sight is drawn. */
function drawLines([head]) {
  if (state.view !== "lines") return;
  const whole = max(head.rows, head.columns) * TOKEN_LINE + 4;
  element("lines-length").style.height = `${whole}px`;
  const [width, tall] = [box.clientWidth, min(560, whole)];
  const pen = sharpen(linesCanvas, width, tall);
  within(pen, 0, 0, width, tall); // a picture that is saved has no edge of its own
  const [tone, scale, theme] = [tones(linesCanvas), scaleOf(head), themeOf()];
  const y = (index) => (index + 0.5) * TOKEN_LINE - box.scrollTop;
  const { row, column } = spot(head);
  const isOfChosen = (cell) => (isFrom() ? floor(cell / head.columns) === row : cell % head.columns === column);
  const line = (cell, isChosen) => {
    pen.strokeStyle = isChosen ? tone.accent : colour(0.25 + 0.75 * partOf(head.values[cell], scale), theme);
    pen.lineWidth = 0.5 + 3 * head.values[cell];
    pen.beginPath();
    pen.moveTo(width * 0.32, y(floor(cell / head.columns)));
    pen.lineTo(width * 0.68, y(cell % head.columns));
    pen.stroke();
  };
  const { least, cells } = strongOf(head);
  cells.forEach((cell) => isOfChosen(cell) || line(cell, false));
  head.values.forEach((weight, cell) => weight >= OF_CHOSEN && isOfChosen(cell) && line(cell, true));
  const names = (items, x, textAlign, chosen) => items.forEach((item, index) => {
    const at = y(index);
    if (at < -TOKEN_LINE || at > tall + TOKEN_LINE) return;
    assign(pen, { font: fontOf(13), textBaseline: "middle", textAlign, fillStyle: index === chosen ? tone.accent : tone.ink });
    pen.fillText(fitted(pen, named(item), width * 0.32 - 12), x, at);
  });
  names(head.queries.items, width * 0.32 - 8, "right", isFrom() ? row : -1);
  names(head.keys.items, width * 0.68 + 8, "left", isFrom() ? -1 : column);
  pen.restore();
  write("lines-least", `${least} (${cells.length})`);
}

function tokenUnder(event) {
  const [x, y] = pointOn(box, event);
  const isQuery = x < box.clientWidth / 2;
  const item = headShown()?.[isQuery ? "queries" : "keys"].items[floor((y + box.scrollTop) / TOKEN_LINE)];
  return item && chosenBy(isQuery, item.cells[0]);
}

/** Scroll so that the chosen token is seen. */
function scrollLines([head]) {
  if (state.view !== "lines") return;
  const index = spot(head)[isFrom() ? "row" : "column"];
  box.scrollTop = clamp(box.scrollTop, (index + 2) * TOKEN_LINE - box.clientHeight, (index - 1) * TOKEN_LINE);
}

on(box, "scroll", () => headsShown() && drawLines(headsShown()));
onPointer(box, tokenUnder, change);
onHeads(scrollLines);
onHeads(drawLines, box);
