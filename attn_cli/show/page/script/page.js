// What the page knows besides the numbers of its heads, and small functions on elements.

export const element = (id) => document.getElementById(id);

export const about = JSON.parse(element("about").textContent);

/** Set attributes of an element. */
export function set(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, value);
  return target;
}

/** A new element; text from outside only ever becomes its `textContent`. */
export function make(tag, text = "", className = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return set(made, attributes);
}

/** A token or a name in a text of the other direction stays what it is. */
export const isolated = (text, className = "") => make("bdi", text, className);

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
  const ratio = window.devicePixelRatio || 1;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Where the pointer is on an element, in CSS pixels. */
export function pointOn(target, event) {
  const box = target.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}
