// A view as SVG: what it draws on its canvases, as shapes and text.
import { assign, boxOf, ceil, every, find, floor, max, min, PI, set, sheet } from "./page.js";
import { record } from "./canvases.js";
import { drawAll } from "./state.js";

const ANCHORS = { right: "end", center: "middle" };
const TEXT_LINE = 20;

/** A new element of SVG; text from outside only ever becomes its `textContent`. */
function add(parent, tag, attributes, text = "") {
  const made = set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
  made.textContent = text;
  parent.append(made);
  return made;
}

function writeText(parent, font, look, text) {
  const [, weight, size, family] = /^(bold )?(\d+px) (.*)$/.exec(font);
  add(parent, "text", { "font-size": size, "font-weight": weight ? 700 : 400, "font-family": family, ...look }, text);
}

/** A context of a canvas that draws into a group of SVG: as much of one as the views use. */
class Recorder {
  constructor(group) {
    assign(this, { group, path: "", stack: [], measure: sheet(1, 1) });
  }
  save() { this.stack.push({ ...this }); }
  restore() { assign(this, this.stack.pop()); }
  nest(look) { this.group = add(this.group, "g", look); }
  translate(x, y) { this.nest({ transform: `translate(${x} ${y})` }); }
  rotate(angle) { this.nest({ transform: `rotate(${(angle * 180) / PI})` }); }
  beginPath() { this.path = ""; }
  moveTo(...at) { this.path += `M${at}`; }
  lineTo(...at) { this.path += `L${at}`; }
  rect(x, y, width, height) { this.path += `M${x},${y}h${width}v${height}h${-width}z`; }
  arc(x, y, r) { this.path += `M${x - r},${y}a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0`; } // a circle
  clip() {
    const id = `clip${every("clipPath", this.group.ownerSVGElement).length}`;
    add(add(this.group, "clipPath", { id }), "path", { d: this.path });
    this.nest({ "clip-path": `url(#${id})` });
  }
  paint(look) { add(this.group, "path", { d: this.path, opacity: this.globalAlpha ?? 1, ...look }); }
  fill() { this.paint({ fill: this.fillStyle }); }
  stroke() { this.paint({ fill: "none", stroke: this.strokeStyle, "stroke-width": this.lineWidth }); }
  fillRect(...box) { this.beginPath(); this.rect(...box); this.fill(); }
  strokeRect(...box) { this.beginPath(); this.rect(...box); this.stroke(); }
  fillText(text, x, y) {
    const look = { x, y, fill: this.fillStyle, "text-anchor": ANCHORS[this.textAlign] ?? "start" };
    if (this.textBaseline === "middle") look.dy = "0.35em";
    writeText(this.group, this.font, look, text);
  }
  measureText(text) {
    this.measure.font = this.font;
    return this.measure.measureText(text);
  }
  drawImage(source, x, y, width, height, left, top, wide, high) {
    const box = { x: left, y: top, width: wide, height: high, viewBox: `${x % 1} ${y % 1} ${width} ${height}` };
    const window = add(this.group, "svg", { ...box, preserveAspectRatio: "none", "shape-rendering": "crispEdges" });
    const part = [floor(x), floor(y), ceil(width) + 1, ceil(height) + 1];
    for (const [fill, d] of runsOf(source, ...part)) add(window, "path", { fill, d });
  }
}

/** Pixels as a path for each colour; neighbours in a row are one rectangle. */
function runsOf(source, left, top, width, height) {
  const copy = sheet(width, height, { willReadFrequently: true });
  copy.drawImage(source, -left, -top);
  const { data } = copy.getImageData(0, 0, width, height);
  const pixels = new Uint32Array(data.buffer);
  const paths = new Map();
  for (let first = 0, index = 1; index <= pixels.length; index += 1) {
    if (index % width && pixels[index] === pixels[first]) continue;
    const [red, green, blue, alpha] = data.subarray(first * 4, first * 4 + 4);
    const fill = `rgb(${red},${green},${blue})`;
    const run = `M${first % width} ${floor(first / width)}h${index - first}v1h${first - index}z`;
    if (alpha) paths.set(fill, (paths.get(fill) ?? "") + run);
    first = index;
  }
  return paths;
}

/** The canvases of a section with what it says: the model, its title, what is chosen, and how exact it is. */
export function pictureOf(section) {
  const canvases = every("canvas", section).filter((canvas) => boxOf(canvas).width);
  const [boxes, outer, style] = [canvases.map(boxOf), boxOf(section), getComputedStyle(section)];
  const texts = ["h1", `#${section.id} h2`, `#${section.id} .says`, "#precision"].map((one) => find(one).textContent);
  const [above, first] = [3.5 * TEXT_LINE, min(...boxes.map(({ top }) => top))];
  const height = above + max(...boxes.map(({ bottom }) => bottom)) - first + 1.5 * TEXT_LINE;
  const size = { width: outer.width, height, viewBox: `0 0 ${outer.width} ${height}`, "xml:space": "preserve" };
  const picture = add(new DocumentFragment(), "svg", size);
  add(picture, "rect", { width: "100%", height: "100%", fill: style.backgroundColor });
  texts.forEach((text, line) => {
    const y = line === 3 ? height - 10 : TEXT_LINE * (line + 0.9);
    writeText(picture, `${line ? "13px" : "bold 15px"} system-ui, sans-serif`, { x: 14, y, fill: style.color }, text);
  });
  const unused = add(new DocumentFragment(), "svg", {});
  record((canvas) => {
    const { left, top } = boxOf(canvas);
    const at = `translate(${left - outer.left} ${top - first + above})`;
    return new Recorder(add(canvases.includes(canvas) ? picture : unused, "g", { transform: at }));
  }, drawAll);
  return picture;
}
