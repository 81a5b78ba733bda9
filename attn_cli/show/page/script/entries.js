// The lines of the payload: base64 of raw deflate streams, inflated when they are needed.
import { element, floor } from "./page.js";

const bytesOf = (text) => Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

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
  planes.forEach((byte, index) => (bytes[(index % count) * 4 + floor(index / count)] = byte));
  return new Float32Array(bytes.buffer);
}
