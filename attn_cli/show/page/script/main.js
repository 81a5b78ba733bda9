// Starts the page: views register themselves, then the address says what they show.
import { about, on } from "./page.js";
import { headAt } from "./heads.js";
import { change, drawAll, readAddress, state } from "./state.js";
import { onTheme, showTheme } from "./colours.js";
import { headsShown, placesShown } from "./shown.js";
import "./views/overview.js";
import "./views/readout.js";
import "./views/matrix.js";
import "./views/text.js";
import "./views/row.js";
import "./views/whole.js";
import "./views/lines.js";
import "./views/places.js";
import { startControls } from "./controls.js";
import { startSave } from "./save.js";
import { cellAt } from "./views/cell.js";
import { startCommand } from "./command.js";
import { startKeys } from "./keys.js";

onTheme(drawAll);
startControls();
startSave();
startCommand();
startKeys();
on(window, "hashchange", readAddress);
readAddress();
showTheme(); // a view whose element gets its size may draw before the others
Promise.all(placesShown().map(headAt)).finally(drawAll); // once, when the head is at hand
globalThis.attn = { about, headAt, headsShown, cellAt, state, change }; // for the console
