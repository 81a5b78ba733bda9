// The controls: each sets a part of the state, shows what it is, and has a key that does the same.
import { element, every, find, on, onClicks, set, shortName, textOf, write } from "./page.js";
import { change, haveWords, mayMerge, onChange, state } from "./state.js";

const controls = every("[data-set]");

/** Which keys a choice hides. */
function keysOf(choice) {
  const { special } = textOf(state.kind, "keys");
  return { nothing: [], first: [0], special, chosen: [state.key] }[choice];
}

const valueOf = (name) =>
  name === "hide" ? ["nothing", "first", "special"].find((choice) => `${keysOf(choice)}` === `${state.hide}`) ?? "chosen" : state[name];

const setPart = (name, value) => change({ [name]: name === "hide" ? keysOf(value) : value });

/** What a control may be set to. */
function choicesOf({ options, dataset }) {
  if (options) return [...options].filter((option) => !option.hidden).map((option) => option.value);
  return dataset.to ?? [false, true];
}

/** Go to the next choice of a part, or to the one before. */
export function turn(name, by = 1) {
  const own = controls.filter((one) => one.dataset.set === name);
  const choices = own.flatMap(choicesOf);
  if (!own[0].disabled) setPart(name, choices[(choices.indexOf(valueOf(name)) + by + choices.length) % choices.length]);
}

/** What its key does with a control or a group of them: the next choice; a button is pressed. */
export function use(target) {
  const { set: name } = (find("[data-set]", target) ?? target).dataset;
  if (name) turn(name);
  else target.click();
}

/** Hide the chosen key, or show it if it is hidden. */
export function hideKey() {
  const others = state.hide.filter((key) => key !== state.key);
  change({ hide: others.length < state.hide.length ? others : [...others, state.key] });
}

/** Pin the head, or let go of the pinned one. */
const pin = () => change({ pinned: state.pinned ? null : { layer: state.layer, head: state.head } });

const press = (control, isPressed) => set(control, { "aria-pressed": isPressed });

function show() {
  const { pinned, hide } = state;
  for (const control of controls) {
    const { set: name, to = true } = control.dataset;
    if (control.options) control.value = valueOf(name);
    else press(control, to === state[name]);
  }
  for (const part of every("[data-when]")) part.hidden = !part.dataset.when.includes(state[part.dataset.of]);
  element("words").disabled = !haveWords();
  element("hide").disabled = !mayMerge();
  element("renormalize").disabled = !hide.length;
  find("[value=special]", element("hide")).hidden = ["", "0"].includes(`${keysOf("special")}`);
  press(element("compare"), !!pinned);
  write("compare", pinned ? `beside ${shortName(pinned)}` : "compare");
}

export function startControls() {
  for (const control of controls) {
    const { set: name, to } = control.dataset;
    on(control, control.options ? "change" : "click", () => setPart(name, control.options ? control.value : to ?? !state[name]));
  }
  onClicks({ compare: pin });
  onChange(show);
}
