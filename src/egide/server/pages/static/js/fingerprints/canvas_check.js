// @ts-check

import { openPicture } from "./decode.js";
import { FingerprintError } from "./errors.js";
import { inspect } from "./formats.js";

const WIDTH = 192;
const HEIGHT = 128;
const HEADER_BYTES = 54;

/** @type {Promise<void> | null} */
let checked = null;

/**
 * Read back a picture whose pixels are known: modes against tracking add noise to a canvas, or make
 * it blank, and a fingerprint of that would find nothing. Done once, on the way that all pictures go.
 *
 * @throws {FingerprintError} `canvas-distorted`
 */
export function checkCanvas() {
  checked ??= compare();
  return checked;
}

async function compare() {
  let same = false;
  try {
    same = await readsBack();
  } catch (error) {
    throw new FingerprintError("canvas-distorted", error);
  }
  if (!same) throw new FingerprintError("canvas-distorted");
}

async function readsBack() {
  const picture = await openPicture(inspect("bmp", drawnBmp()));
  try {
    let row = 0;
    for (const { rgba, rowCount } of picture.stripes()) {
      for (let k = 0; k < rowCount * WIDTH; k += 1) {
        const expected = colourAt(k % WIDTH, row + Math.floor(k / WIDTH));
        for (let channel = 0; channel < 3; channel += 1) {
          if (rgba[4 * k + channel] !== expected[channel]) return false;
        }
        if (rgba[4 * k + 3] !== 255) return false;
      }
      row += rowCount;
    }
    return row === HEIGHT;
  } finally {
    picture.close();
  }
}

/**
 * Smooth to the left, coarse to the right: some modes leave flat or busy parts alone.
 *
 * @param {number} x
 * @param {number} y
 */
function colourAt(x, y) {
  if (x < WIDTH / 2) return [2 * x, 255 - y, x + y];
  const scattered = Math.imul(x * 251 + y, 0x9e3779b1) >>> 8;
  return [scattered & 255, (scattered >>> 8) & 255, (scattered >>> 16) & 255];
}

/** A bitmap file, which every browser decodes, and which needs no compression. */
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
