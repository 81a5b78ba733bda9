// Takes pictures, the row and a link from the page.
import { element } from "./page.js";
import { addressOf, state } from "./state.js";
import { pictureOf } from "./picture.js";
import { rowAsCsv } from "./views/row.js";

const SHARPNESS = 2; // pixels of a PNG for each of the page
const SVG = "image/svg+xml";

const say = (text) => (element("done").textContent = text);

const asSvg = () => new XMLSerializer().serializeToString(pictureOf(element(element("save-part").value)));

async function asPng() {
  const address = URL.createObjectURL(new Blob([asSvg()], { type: SVG }));
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const canvas = new OffscreenCanvas(picture.width * SHARPNESS, picture.height * SHARPNESS);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(address);
  return canvas.convertToBlob();
}

/** A list is no picture. */
const canBeDrawn = () => [...element(element("save-part").value).querySelectorAll("canvas")].some((canvas) => canvas.checkVisibility());

async function save(suffix, type, make) {
  if (type !== "text/csv" && !canBeDrawn()) return say("Not saved: the list of heads is no picture, the map and the scatter are");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([await make()], { type }));
  link.download = `attn-${state.layer}.${state.head}.${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return say(`Saved ${link.download}`);
}

async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${name} copied`);
  } catch {
    say(`${name} not copied: the browser does not allow it`);
  }
}

export const copyLink = () => copy(location.href.split("#")[0] + addressOf(), "Link");

export function startSave() {
  const actions = {
    "save-png": () => save("png", "image/png", asPng),
    "save-svg": () => save("svg", SVG, asSvg),
    "save-csv": () => save("csv", "text/csv", rowAsCsv),
    "copy-csv": () => copy(rowAsCsv(), "Row"),
    "copy-link": copyLink,
  };
  for (const [id, action] of Object.entries(actions)) element(id).addEventListener("click", action);
}
