// The lines of the payload: base64 of raw deflate streams, inflated when they are needed.
import { element } from "./page.js";

const bytesOf = Uint8Array.fromBase64
  ? (text) => Uint8Array.fromBase64(text)
  : (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

let lines = null;

/** The bytes of one entry. */
export async function inflate(entry) {
  lines ??= element("weights").textContent.trim().split("\n");
  const stream = new Blob([bytesOf(lines[entry])]).stream();
  const inflated = stream.pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}

/** The float32 numbers of one entry, whose bytes are stored one place of all numbers after the other. */
export async function inflateExact(entry) {
  const planes = await inflate(entry);
  const count = planes.length / 4;
  const bytes = new Uint8Array(planes.length);
  for (let place = 0; place < 4; place += 1) {
    for (let index = 0; index < count; index += 1) bytes[index * 4 + place] = planes[place * count + index];
  }
  return new Float32Array(bytes.buffer);
}
