// The command that shows the chosen head in a terminal.
import { about, element } from "./page.js";
import { onChange, state } from "./state.js";

function draw() {
  const kind = about.kinds.length > 1 ? ` --kind ${about.kinds[state.kind].kind}` : "";
  element("command").textContent = `attn inspect --heads ${state.layer}.${state.head}${kind} ${about.again}`;
}

export function startCommand() {
  if (about.again) onChange(draw);
}
