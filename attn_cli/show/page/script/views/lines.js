// Lines from queries to keys between two columns of tokens: the strong ones, and all of the chosen token.
import { clamp, element, onPointer, sharpen, tones } from "../page.js";
import { change, onChange, state } from "../state.js";
import { colour, partOf, scaleOf, themeOf } from "../colours.js";
import { fitted, named } from "../numbers.js";
import { headShown, spot } from "../shown.js";

const LINE = 18; // pixels of a token
const STRONG = [0.02, 0.05, 0.1, 0.2, 0.4];
const FEW = 3; // lines of a token, on average
const OF_CHOSEN = 0.01;
const canvas = element("lines");
const box = element("lines-box");
const strong = new WeakMap();

/** Cells that reach the lowest of the `STRONG` weights that only a few cells reach. */
function strongOf(head) {
  if (!strong.has(head)) {
    const all = [...head.values.keys()].filter((cell) => head.values[cell] >= STRONG[0] && !head.keys.items[cell % head.columns].isHidden);
    const reached = STRONG.map((least) => ({ least, cells: all.filter((cell) => head.values[cell] >= least) }));
    strong.set(head, reached.find(({ cells }) => cells.length <= FEW * Math.max(head.rows, head.columns)) ?? reached.at(-1));
  }
  return strong.get(head);
}

/** Only what is scrolled into sight is drawn. */
function draw() {
  const head = headShown();
  if (!head || state.view !== "lines") return;
  const whole = Math.max(head.rows, head.columns) * LINE + 4;
  element("lines-length").style.height = `${whole}px`;
  const [width, tall] = [box.clientWidth, Math.min(560, whole)];
  const context = sharpen(canvas, width, tall);
  context.save();
  context.beginPath();
  context.rect(0, 0, width, tall);
  context.clip(); // a picture that is saved has no edge of its own
  const [tone, scale, theme] = [tones(canvas), scaleOf(head), themeOf()];
  const y = (index) => (index + 0.5) * LINE - box.scrollTop;
  const { row, column } = spot(head);
  const isFrom = state.direction === "from";
  const isOfChosen = (cell) => (isFrom ? Math.floor(cell / head.columns) === row : cell % head.columns === column);
  const line = (cell, isChosen) => {
    context.strokeStyle = isChosen ? tone.accent : colour(0.25 + 0.75 * partOf(head.values[cell], scale), theme);
    context.lineWidth = 0.5 + 3 * head.values[cell];
    context.beginPath();
    context.moveTo(width * 0.32, y(Math.floor(cell / head.columns)));
    context.lineTo(width * 0.68, y(cell % head.columns));
    context.stroke();
  };
  const { least, cells } = strongOf(head);
  cells.forEach((cell) => isOfChosen(cell) || line(cell, false));
  head.values.forEach((weight, cell) => weight >= OF_CHOSEN && isOfChosen(cell) && line(cell, true));
  const names = (items, x, textAlign, chosen) => items.forEach((item, index) => {
    if (y(index) < -LINE || y(index) > tall + LINE) return;
    Object.assign(context, { font: "13px system-ui, sans-serif", textBaseline: "middle", textAlign, fillStyle: index === chosen ? tone.accent : tone.ink });
    context.fillText(fitted(context, named(item), width * 0.32 - 12), x, y(index));
  });
  names(head.queries.items, width * 0.32 - 8, "right", isFrom ? row : -1);
  names(head.keys.items, width * 0.68 + 8, "left", isFrom ? -1 : column);
  context.restore();
  element("lines-about").textContent = `Queries left, keys right: lines for weights of at least ${least} (${cells.length}), and for those of the chosen token of at least ${OF_CHOSEN}.`;
}

function tokenUnder([x, y]) {
  const isQuery = x < box.clientWidth / 2;
  const item = headShown()?.[isQuery ? "queries" : "keys"].items[Math.floor((y + box.scrollTop) / LINE)];
  return item && { [isQuery ? "query" : "key"]: item.cells[0], direction: isQuery ? "from" : "to", hover: null };
}

/** Scroll so that the chosen token is seen. */
function follow() {
  const head = headShown();
  if (!head || state.view !== "lines") return;
  const index = spot(head)[state.direction === "from" ? "row" : "column"];
  box.scrollTop = clamp(box.scrollTop, (index + 2) * LINE - box.clientHeight, (index - 1) * LINE);
}

export function startLines() {
  box.addEventListener("scroll", draw);
  onPointer(box, tokenUnder, change);
  onChange(follow);
  onChange(draw, box);
}
