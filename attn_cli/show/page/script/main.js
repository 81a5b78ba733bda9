// Starts the page: views register themselves, then the address says what they show.
import { about } from "./page.js";
import { headAt } from "./heads.js";
import { change, drawAll, onChange, readAddress, state } from "./state.js";
import { onPrint, onSystemTheme, themeOf } from "./colours.js";
import { headsShown } from "./shown.js";
import { startOverview } from "./views/overview.js";
import { startMatrix } from "./views/matrix.js";
import { startText } from "./views/text.js";
import { startRow } from "./views/row.js";
import { startWhole } from "./views/whole.js";
import { startLines } from "./views/lines.js";
import { startPlaces } from "./views/places.js";
import { startControls } from "./controls.js";
import { startSave } from "./save.js";
import { cellAt, startCell } from "./views/cell.js";
import { startCommand } from "./command.js";
import { startKeys } from "./keys.js";

onChange(() => (document.documentElement.dataset.theme = themeOf()));
onSystemTheme(() => change({}));
onPrint(drawAll);
startOverview();
startMatrix();
startText();
startRow();
startWhole();
startLines();
startPlaces();
startControls();
startSave();
startCell();
startCommand();
startKeys();
window.addEventListener("hashchange", readAddress);
readAddress();
globalThis.attn = { about, headAt, headsShown, cellAt, state, change }; // for the console
