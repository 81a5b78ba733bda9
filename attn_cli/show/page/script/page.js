// What the page knows besides the numbers of its heads, and small functions on elements.

export const { abs, ceil, floor, hypot, log, max, min, round, PI } = Math;
export const { assign, entries, hasOwn } = Object;

export const element = (id) => document.getElementById(id);

/** The first element that a selector finds. */
export const find = (selector, holder = document) => holder.querySelector(selector);

/** The elements that a selector finds. */
export const every = (selector, holder = document) => [...holder.querySelectorAll(selector)];

export const about = JSON.parse(element("about").textContent);

/** The text whose tokens are the queries, or the keys, of a kind. */
export const textOf = (kind, side) => about.texts[about.kinds[kind][side]];

export const SIDES = ["queries", "keys"];

/** How many tokens a row or a column of a kind stands for. */
export const blockOf = (kind, side) => about.kinds[kind].cells[SIDES.indexOf(side)];

/** Set attributes of an element. */
export function set(target, attributes) {
  for (const [name, value] of entries(attributes)) target.setAttribute(name, value);
  return target;
}

/** A new element of this class, or with these attributes; text from outside only ever becomes a text node. */
export function make(tag, look, ...parts) {
  const made = set(document.createElement(tag), typeof look === "string" ? { class: look } : look);
  made.append(...parts);
  return made;
}

/** A token or a name in a text of the other direction stays what it is. */
export const isolated = (text) => make("bdi", {}, text);

export const write = (id, text) => (element(id).textContent = text);

/** Whether an element has a class. */
export const toggle = (target, name, isOn) => target.classList.toggle(name, isOn);

export const fill = (id, parts) => element(id).replaceChildren(...parts);

/** Listen to events, whose names are separated by spaces. */
export function on(target, events, listener, options) {
  for (const event of events.split(" ")) target.addEventListener(event, listener, options);
}

/** Tell what is clicked on and what is pointed at, null for nothing: `under` finds it. */
export function onPointer(target, under, click, hover) {
  on(target, "click", (event) => {
    const found = under(event);
    if (found) click(found);
  });
  if (hover) {
    on(target, "pointermove", (event) => hover(under(event)));
    on(target, "pointerleave", () => hover(null));
  }
}

/** What a click on each of these elements does. */
export function onClicks(actions) {
  for (const [id, action] of entries(actions)) on(element(id), "click", action);
}

/** What is kept under a name, made when it is asked for first. */
export function kept(cache, name, make) {
  if (!cache.has(name)) cache.set(name, make());
  return cache.get(name);
}

export const range = (count) => [...Array(count).keys()];

/** Whether two places are of heads with the same layer and number. */
export const isAt = (place, other) => place.layer === other?.layer && place.head === other.head;

/** The name of a head: its layer and its number. */
export const shortName = ({ layer, head }) => `${layer}.${head}`;

export const clamp = (number, low, high) => min(max(number, low), high);

/** Where an element is on the screen, in CSS pixels. */
export const boxOf = (target) => target.getBoundingClientRect();

/** Where the pointer is on an element, in CSS pixels. */
export function pointOn(target, { clientX, clientY }) {
  const { left, top } = boxOf(target);
  return [clientX - left, clientY - top];
}

/** What draws on a canvas that is not on the page: its `canvas`. */
export const sheet = (width, height, settings) => new OffscreenCanvas(width, height).getContext("2d", settings);

/** Whether the focus is in an element. */
export const hasFocus = (target) => target.contains(document.activeElement);
