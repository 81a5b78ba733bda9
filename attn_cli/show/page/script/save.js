// Takes pictures, the row and a link from the page.
import { element, every, make, onClicks, sheet, shortName, write } from "./page.js";
import { addressOf, state } from "./state.js";
import { pictureOf } from "./picture.js";
import { rowAsCsv } from "./views/row.js";

const SHARPNESS = 2; // pixels of a PNG for each of the page
const SVG = "image/svg+xml";

const part = () => element(element("save-part").value);
const say = (text) => write("done", text);

const asSvg = () => new XMLSerializer().serializeToString(pictureOf(part()));

const addressOfFile = (content, type) => URL.createObjectURL(new Blob([content], { type }));

async function asPng() {
  const address = addressOfFile(asSvg(), SVG);
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const [width, height] = [picture.width * SHARPNESS, picture.height * SHARPNESS];
  const pen = sheet(width, height);
  pen.drawImage(picture, 0, 0, width, height);
  URL.revokeObjectURL(address);
  return pen.canvas.convertToBlob();
}

/** A list is no picture. */
const canBeDrawn = () => every("canvas", part()).some((canvas) => canvas.checkVisibility());

async function save(suffix, type, contentOf) {
  if (type !== "text/csv" && !canBeDrawn()) return say("Not saved: the list is no picture");
  const [href, download] = [addressOfFile(await contentOf(), type), `attn-${shortName(state)}.${suffix}`];
  make("a", { href, download }).click();
  setTimeout(() => URL.revokeObjectURL(href), 6e4);
  say(`Saved ${download}`);
}

async function copy(text, name) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${name} copied`);
  } catch {
    say(`${name} not copied: the browser does not allow it`);
  }
}

const copyLink = () => copy(location.href.split("#")[0] + addressOf(), "Link");

export function startSave() {
  onClicks({
    "save-png": () => save("png", "image/png", asPng),
    "save-svg": () => save("svg", SVG, asSvg),
    "save-csv": () => save("csv", "text/csv", rowAsCsv),
    "copy-csv": () => copy(rowAsCsv(), "Row"),
    "copy-link": copyLink,
  });
}
