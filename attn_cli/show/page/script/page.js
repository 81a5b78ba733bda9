// What the page knows besides the numbers of its heads, and small functions on elements.

export const element = (id) => document.getElementById(id);

export const about = JSON.parse(element("about").textContent);

/** Set attributes of an element. */
export function set(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, value);
  return target;
}

/** A new element; text from outside only ever becomes its `textContent`. */
export function make(tag, text = "", className = "", attributes = {}, ...parts) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  made.append(...parts);
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

/** The colours of a canvas, from the style sheet. */
export function tones(canvas) {
  const style = getComputedStyle(canvas);
  const of = (name) => style.getPropertyValue(`--${name}`);
  return { ink: style.color, accent: of("accent"), masked: of("masked"), line: of("line"), dot: of("dot") };
}

/** Tell what is clicked on and what is pointed at, null for nothing: `under` finds it. */
export function onPointer(target, under, click, hover) {
  target.addEventListener("click", (event) => {
    const found = under(pointOn(target, event));
    if (found) click(found);
  });
  if (!hover) return;
  target.addEventListener("pointermove", (event) => hover(under(pointOn(target, event))));
  target.addEventListener("pointerleave", () => hover(null));
}

/** Let the Tab key reach the chosen line of a list, and focus it if the list had the focus before it was made anew. */
export function reachIn(list, isFocused) {
  const reached = list.querySelector(".chosen button") ?? list.querySelector("button");
  if (reached) reached.tabIndex = 0;
  if (isFocused) reached?.focus();
}

export const clamp = (number, low, high) => Math.min(Math.max(number, low), high);

/** Where the pointer is on an element, in CSS pixels. */
export function pointOn(target, event) {
  const box = target.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}
