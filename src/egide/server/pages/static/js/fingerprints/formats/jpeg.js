// @ts-check

import { damaged, joined, viewOf } from "./bytes.js";

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const TEM = 0x01;
/** JFIF's marker, and Adobe's, which tells the colour coding; not EXIF, XMP, ICC and previews. */
const KEPT_APPLICATION_SEGMENTS = new Set([0xe0, 0xee]);
const COMMENT = 0xfe;

/**
 * Keep only the data to decode the first picture: no orientation, colour profile or preview, and
 * nothing after its end, where phones put videos and depth maps.
 *
 * @param {Uint8Array} bytes
 * @returns {import("../formats.js").Inspected}
 *
 * Source: ITU-T T.81, annex B.
 */
export function inspectJpeg(bytes) {
  const view = viewOf(bytes);
  /** @type {[number, number][]} */
  const kept = [[0, 2]];
  let width = 0;
  let height = 0;
  let at = 2;
  for (;;) {
    if (bytes[at] !== 0xff) {
      // As decoders do, skip data between two segments up to the next marker.
      at = bytes.indexOf(0xff, at);
      if (at < 0) damaged("no end");
    }
    while (bytes[at + 1] === 0xff) at += 1;
    const marker = view.getUint8(at + 1);
    if (marker === EOI) {
      kept.push([at, at + 2]);
      break;
    }
    if (marker === 0 || marker === TEM || marker === SOI || isRestart(marker)) {
      at += 2;
      continue;
    }
    let end = at + 2 + view.getUint16(at + 2);
    if (end > bytes.length) damaged("cut in a segment");
    if (isFrame(marker) && !width) {
      height = view.getUint16(at + 5);
      width = view.getUint16(at + 7);
    }
    if (marker === SOS) end = scanEnd(bytes, end);
    const application = marker >= 0xe0 && marker <= 0xef;
    if ((!application && marker !== COMMENT) || KEPT_APPLICATION_SEGMENTS.has(marker)) {
      kept.push([at, end]);
    }
    at = end;
  }
  if (!width || !height) damaged("no size");
  return {
    width,
    height,
    animated: false,
    mayBeTransparent: false,
    exactSize: true,
    type: "image/jpeg",
    bytes: joined(bytes, kept),
  };
}

/**
 * Find the end of a scan's coded pixels: the next marker that is not part of them.
 *
 * @param {Uint8Array} bytes
 * @param {number} start
 */
function scanEnd(bytes, start) {
  let at = start;
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) damaged("cut in a scan");
    const next = bytes[at + 1];
    if (next !== 0 && next !== 0xff && !isRestart(next)) return at;
    at += next === 0xff ? 1 : 2;
  }
}

/**
 * @param {number} marker
 */
function isRestart(marker) {
  return marker >= 0xd0 && marker <= 0xd7;
}

/**
 * Whether a segment declares the picture's size: SOF0 to SOF15 without DHT, JPG and DAC.
 *
 * @param {number} marker
 */
function isFrame(marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}
