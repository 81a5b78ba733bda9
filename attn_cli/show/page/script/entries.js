// The lines of the payload: base64 of raw deflate streams, inflated when they are needed.
import { element, floor, on } from "./page.js";

const bytesOf = (text) => Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (one) => one.charCodeAt(0));

const linesOf = (id) => element(id).textContent.split("\n");
const early = Object.fromEntries(linesOf("early").map((line) => line.split(" ")));
const others = new Promise((done) => on(window, "load", () => done(linesOf("weights")))); // when the browser has parsed them

/** The bytes of one entry. */
export async function inflate(entry) {
  const line = early[entry] ?? (await others)[entry];
  const { readable, writable } = new DecompressionStream("deflate-raw");
  const writer = writable.getWriter(); // a Blob would be read by another process
  writer.write(bytesOf(line));
  writer.close();
  return new Uint8Array(await new Response(readable).arrayBuffer());
}

/** The float32 numbers of one entry, whose bytes are stored one place of all numbers after the other. */
export async function inflateExact(entry) {
  const planes = await inflate(entry);
  const count = planes.length / 4;
  const bytes = new Uint8Array(planes.length);
  planes.forEach((byte, index) => (bytes[(index % count) * 4 + floor(index / count)] = byte));
  return new Float32Array(bytes.buffer);
}
