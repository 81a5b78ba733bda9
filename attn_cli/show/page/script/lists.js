// Lists whose lines are chosen: the Tab key reaches the chosen one, arrow keys go on from it.
import { find, hasFocus, make, on } from "./page.js";

/** A line of a list: what its button holds, and the cell with the button among others. */
export function listLine(isChosen, choose, held, cellsWith) {
  const line = make("tr", isChosen ? "chosen" : "", ...cellsWith(make("button", { class: "plain", type: "button", tabindex: -1, ...(isChosen && { "aria-current": true }) }, held)));
  on(line, "click", choose);
  return line;
}

/** Put lines into a list, which keeps the focus if it had it. */
export function fillList(list, lines) {
  const isFocused = hasFocus(list);
  list.replaceChildren(...lines);
  const reached = find(".chosen button", list) ?? find("button", list);
  if (reached) reached.tabIndex = 0;
  if (isFocused) reached?.focus();
}

/** Choose the line above or below the one that has the focus. */
export function stepInList(line, by) {
  const next = by < 0 ? line.previousElementSibling : line.nextElementSibling;
  next?.click();
  next?.querySelector("button")?.focus(); // at once: the next key may come before the page is drawn
}

/** The cell that names a line. */
export const nameCell = (name) => make("th", { class: "label", scope: "row" }, name);

export const numberCell = (text) => make("td", "number", text);
