// The command that shows the chosen head in a terminal.
import { about, shortName, write } from "./page.js";
import { kindShown, onChange, state } from "./state.js";

function drawCommand() {
  const kind = about.kinds.length > 1 ? ` --kind ${kindShown().kind}` : "";
  write("command", `attn inspect --heads ${shortName(state)}${kind} ${about.again}`);
}

export function startCommand() {
  if (about.again) onChange(drawCommand);
}
