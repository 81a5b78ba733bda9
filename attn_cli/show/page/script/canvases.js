// Canvases: how sharp they are, the colours of the style sheet, and what several views draw on them.
import { entries, round } from "./page.js";

let recorder = null;

/** Call `draw`; views draw on `contextFor(canvas)` meanwhile. */
export function record(contextFor, draw) {
  recorder = contextFor;
  try {
    draw();
  } finally {
    recorder = null;
  }
}

/** The canvas, as large as its element and as sharp as the screen; its context counts CSS pixels. */
export function sharpen(canvas, width, height) {
  if (recorder) return recorder(canvas);
  const ratio = devicePixelRatio;
  place(canvas, { width, height });
  canvas.width = round(width * ratio);
  canvas.height = round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

/** Set sides of an element, in CSS pixels. */
export function place(target, sides) {
  for (const [side, pixels] of entries(sides)) target.style[side] = `${pixels}px`;
}

/** The font of this size, in pixels. */
export const fontOf = (size) => `${size}px system-ui, sans-serif`;

/** The colours of a canvas, from the style sheet. */
export function tones(canvas) {
  const style = getComputedStyle(canvas);
  const of = (name) => style.getPropertyValue(`--${name}`);
  return { ink: style.color, accent: of("accent"), masked: of("masked"), line: of("line"), dot: of("dot") };
}

/** Draw only within a rectangle, until `restore`. */
export function within(pen, ...rectangle) {
  pen.save();
  pen.beginPath();
  pen.rect(...rectangle);
  pen.clip();
}
