// @ts-check

import { openPicture } from "./decode.js";
import { FingerprintError } from "./errors.js";
import { inspect } from "./formats.js";
import { layOnWhite } from "./white.js";

const WIDTH = 192;
const HEIGHT = 128;
const HEADER_BYTES = 54;

/** A row of 16 pixels, from transparent to opaque, with the colours of `seeThroughAt`. */
const SEE_THROUGH_PNG =
  "iVBORw0KGgoAAAANSUhEUgAAABAAAAABCAYAAADXeS5fAAAAE0lEQVR42mNk+B/FoPqZQZBcDABw0xLCGy8tygAAAABJRU5ErkJggg==";

/** @type {Promise<import("./decode.js").Way> | null} */
let found = null;

/**
 * Find a way to read pixels unchanged, by pictures with known pixels. Anti-tracking modes add noise
 * to a canvas or make it blank, and the fingerprint of such pixels would match nothing. Done once;
 * all pictures are then read in this way.
 *
 * @returns {Promise<import("./decode.js").Way>}
 * @throws {FingerprintError} `canvas-distorted`: there is no such way
 */
export function wayToPixels() {
  found ??= find();
  return found;
}

/** @returns {Promise<import("./decode.js").Way>} */
async function find() {
  try {
    if (await readsBack("canvas", inspect("bmp", drawnBmp()), colourAt)) return "canvas";
  } catch {
    // The other way may work.
  }
  try {
    const png = Uint8Array.from(atob(SEE_THROUGH_PNG), (byte) => byte.charCodeAt(0));
    if (
      (await readsBack("frame", inspect("bmp", drawnBmp()), colourAt)) &&
      (await readsBack("frame", inspect("png", png), seeThroughAt))
    ) {
      return "frame";
    }
  } catch (error) {
    throw new FingerprintError("canvas-distorted", error);
  }
  throw new FingerprintError("canvas-distorted");
}

/**
 * @param {import("./decode.js").Way} way
 * @param {import("./formats.js").Inspected} inspected
 * @param {(x: number, y: number) => Iterable<number>} expectedAt its red, green and blue, on white
 */
async function readsBack(way, inspected, expectedAt) {
  const picture = await openPicture(inspected, way);
  const { width, height } = picture;
  try {
    let row = 0;
    for await (const { rgba, rowCount } of picture.stripes()) {
      for (let k = 0; k < rowCount * width; k += 1) {
        const expected = [...expectedAt(k % width, row + Math.floor(k / width)), 255];
        for (let channel = 0; channel < 4; channel += 1) {
          if (rgba[4 * k + channel] !== expected[channel]) return false;
        }
      }
      row += rowCount;
    }
    return row === height;
  } finally {
    picture.close();
  }
}

/**
 * @param {number} x
 */
function seeThroughAt(x) {
  const rgba = Uint8Array.of((37 * x) & 255, 255 - 13 * x, 90, 17 * x);
  layOnWhite(rgba);
  return rgba.subarray(0, 3);
}

/**
 * Smooth on the left, coarse on the right: some modes do not change flat or busy parts.
 *
 * @param {number} x
 * @param {number} y
 */
function colourAt(x, y) {
  if (x < WIDTH / 2) return [2 * x, 255 - y, x + y];
  const scattered = Math.imul(x * 251 + y, 0x9e3779b1) >>> 8;
  return [scattered & 255, (scattered >>> 8) & 255, (scattered >>> 16) & 255];
}

/** A bitmap file: every browser decodes it, and it needs no compression. */
function drawnBmp() {
  const bytes = new Uint8Array(HEADER_BYTES + 3 * WIDTH * HEIGHT);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x424d);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, HEADER_BYTES, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, WIDTH, true);
  view.setInt32(22, -HEIGHT, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let k = 0; k < WIDTH * HEIGHT; k += 1) {
    const [red, green, blue] = colourAt(k % WIDTH, Math.floor(k / WIDTH));
    bytes.set([blue, green, red], HEADER_BYTES + 3 * k);
  }
  return bytes;
}
