// The controls: each sets a part of the state, shows what it is, and has a key that does the same.
import { about, element } from "./page.js";
import { change, haveWords, mayMerge, onChange, state } from "./state.js";

const controls = [...document.querySelectorAll("[data-set]")];
const SPECIAL = ["nothing", "first", "special"];

/** Which keys a choice hides. */
function keysOf(choice) {
  if (choice === "chosen") return [state.key];
  return { nothing: [], first: [0], special: about.texts[about.kinds[state.kind].keys].special }[choice];
}

const choiceOf = () => SPECIAL.find((choice) => `${keysOf(choice)}` === `${state.hide}`) ?? "chosen";

const valueOf = (name) => (name === "hide" ? choiceOf() : state[name]);

function set(name, value) {
  change({ [name]: name === "hide" ? keysOf(value) : value });
}

/** Go to the next choice of a control, or to the one before. */
export function turn(name, by = 1) {
  const own = controls.filter((one) => one.dataset.set === name);
  const choices = own.flatMap((one) => (one.options ? [...one.options].filter((option) => !option.disabled && !option.hidden).map((option) => option.value) : one.dataset.to ?? [false, true]));
  if (!own[0].disabled) set(name, choices[(choices.indexOf(valueOf(name)) + by + choices.length) % choices.length]);
}

/** Hide the chosen key, or show it if it is hidden. */
export function hideKey() {
  const others = state.hide.filter((key) => key !== state.key);
  change({ hide: others.length < state.hide.length ? others : [...others, state.key] });
}

/** Pin the head, or let go of the pinned one. */
export const pin = () => change({ pinned: state.pinned ? null : { layer: state.layer, head: state.head } });

function show() {
  for (const control of controls) {
    const { set: name, to } = control.dataset;
    if (control.options) control.value = valueOf(name);
    else control.setAttribute("aria-pressed", `${to === undefined ? state[name] : to === state[name]}`);
  }
  for (const part of document.querySelectorAll("[data-when]")) {
    const [name, ...values] = part.dataset.when.split(" ");
    part.hidden = !values.includes(state[name]);
  }
  element("words").disabled = !haveWords();
  element("hide").disabled = !mayMerge();
  element("renormalize").disabled = !state.hide.length;
  element("hide").querySelector("[value=special]").hidden = [[], [0]].some((keys) => `${keys}` === `${keysOf("special")}`);
  element("compare").setAttribute("aria-pressed", `${Boolean(state.pinned)}`);
  element("compare").textContent = state.pinned ? `beside ${state.pinned.layer}.${state.pinned.head}` : "compare";
}

export function startControls() {
  for (const control of controls) {
    const { set: name, to } = control.dataset;
    control.addEventListener(control.options ? "change" : "click", () => set(name, control.options ? control.value : to ?? !state[name]));
  }
  element("compare").addEventListener("click", pin);
  onChange(show);
}
