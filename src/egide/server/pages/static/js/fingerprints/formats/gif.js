// @ts-check

import { damaged, viewOf } from "./bytes.js";

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
const GRAPHIC_CONTROL = 0xf9;
const HAS_COLOURS = 0x80;

/**
 * Keep only the first frame, so that later ones are not decoded and cannot fail.
 *
 * @param {Uint8Array} bytes
 * @returns {import("../formats.js").Inspected}
 *
 * Source: GIF89a specification.
 */
export function inspectGif(bytes) {
  const view = viewOf(bytes);
  let width = view.getUint16(6, true);
  let height = view.getUint16(8, true);
  let at = 13 + coloursBytes(view.getUint8(10));
  let firstEnd = 0;
  let clear = false;
  while (at < bytes.length && bytes[at] !== TRAILER) {
    if (bytes[at] === EXTENSION) {
      if (!firstEnd && bytes[at + 1] === GRAPHIC_CONTROL) clear = Boolean(view.getUint8(at + 3) & 1);
      at = blocksEnd(view, at + 2);
    } else if (bytes[at] === IMAGE && !firstEnd) {
      const right = view.getUint16(at + 1, true) + view.getUint16(at + 5, true);
      const bottom = view.getUint16(at + 3, true) + view.getUint16(at + 7, true);
      clear ||= view.getUint32(at + 1, true) !== 0 || right < width || bottom < height;
      // Decoders enlarge a picture whose first frame does not fit into it.
      width = Math.max(width, right);
      height = Math.max(height, bottom);
      firstEnd = blocksEnd(view, at + 10 + coloursBytes(view.getUint8(at + 9)) + 1);
      at = firstEnd;
    } else {
      break;
    }
  }
  if (!firstEnd) damaged("no frame");
  const out = new Uint8Array(firstEnd + 1);
  out.set(bytes.subarray(0, firstEnd));
  out[firstEnd] = TRAILER;
  return {
    width,
    height,
    animated: bytes[at] === IMAGE,
    mayBeTransparent: clear,
    exactSize: false,
    type: "image/gif",
    bytes: out,
  };
}

/**
 * @param {number} flags
 */
function coloursBytes(flags) {
  return flags & HAS_COLOURS ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

/**
 * Find the end of a series of blocks, each of which begins with its length.
 *
 * @param {DataView} view
 * @param {number} start
 */
function blocksEnd(view, start) {
  let at = start;
  while (view.getUint8(at)) at += view.getUint8(at) + 1;
  return at + 1;
}
