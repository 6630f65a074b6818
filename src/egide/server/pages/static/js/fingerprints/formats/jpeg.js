// @ts-check

import { damaged, joined, viewOf } from "./bytes.js";

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const TEM = 0x01;
/** JFIF's marker, and Adobe's, which tells the colour coding; not EXIF, XMP, ICC and previews. */
const KEPT_APPLICATION_SEGMENTS = new Set([0xe0, 0xee]);
const COMMENT = 0xfe;

/** An end mark, for a file that has none: decoders fill what is missing with grey. */
const END = Uint8Array.of(0xff, EOI);

/**
 * Keep only the data to decode the first picture: no orientation, colour profile or preview, and
 * nothing after its end, where phones put videos and depth maps. Of a file that ends early, keep
 * what is there of the picture.
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
  let scans = 0;
  let endsEarly = false;
  let at = 2;
  for (;;) {
    if (bytes[at] !== 0xff) {
      // As decoders do, skip data between two segments up to the next marker.
      at = bytes.indexOf(0xff, at);
    }
    while (at >= 0 && bytes[at + 1] === 0xff) at += 1;
    endsEarly = at < 0 || at + 4 > bytes.length;
    if (endsEarly && bytes[at + 1] !== EOI) {
      if (!scans) damaged("no end");
      break;
    }
    endsEarly = false;
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
    endsEarly = end > bytes.length;
    if (endsEarly) {
      if (!scans) damaged("cut in a segment");
      break;
    }
    if (isFrame(marker) && !width) {
      height = view.getUint16(at + 5);
      width = view.getUint16(at + 7);
    }
    if (marker === SOS) {
      scans += 1;
      end = scanEnd(bytes, end);
      endsEarly = end === bytes.length;
    }
    const application = marker >= 0xe0 && marker <= 0xef;
    if ((!application && marker !== COMMENT) || KEPT_APPLICATION_SEGMENTS.has(marker)) {
      kept.push([at, end]);
    }
    if (endsEarly) break;
    at = end;
  }
  if (!width || !height) damaged("no size");
  return {
    width,
    height,
    animated: false,
    mayBeTransparent: false,
    exactSize: true,
    endsEarly,
    type: "image/jpeg",
    bytes: endsEarly ? ended(joined(bytes, kept)) : joined(bytes, kept),
  };
}

/**
 * @param {Uint8Array} bytes
 */
function ended(bytes) {
  const out = new Uint8Array(bytes.length + END.length);
  out.set(bytes);
  out.set(END, bytes.length);
  return out;
}

/**
 * Find the end of a scan's coded pixels: the next marker that is not part of them, or the end of a
 * file that ends early.
 *
 * @param {Uint8Array} bytes
 * @param {number} start
 */
function scanEnd(bytes, start) {
  let at = start;
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) return bytes.length;
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
