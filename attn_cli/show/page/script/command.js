// The command that shows the chosen head in a terminal.
import { about, blockOf, shortName, write } from "./page.js";
import { kindShown, onChange, state } from "./state.js";

function drawCommand() {
  const heads = `--heads ${shortName(state)}${about.kinds.length > 1 ? ` --kind ${kindShown().kind}` : ""}`;
  write("command", `attn inspect ${heads} ${about.again}`);
  write("explain", `attn explain ${heads} --query ${state.query * blockOf(state.kind, "queries")} --key ${state.key * blockOf(state.kind, "keys")} ${about.again}`);
}

export function startCommand() {
  if (about.again) onChange(drawCommand);
}
