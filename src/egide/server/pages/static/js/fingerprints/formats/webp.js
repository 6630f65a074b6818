// @ts-check

import { damaged, joined, nameAt, viewOf } from "./bytes.js";

const DROPPED = new Set(["ICCP", "EXIF", "XMP "]);
const ANIMATED = 0x02;
const ALPHA = 0x10;
/** Flags of a colour profile, EXIF and XMP. */
const DROPPED_FLAGS = 0x20 | 0x08 | 0x04;

/**
 * @param {Uint8Array} bytes
 * @returns {import("../formats.js").Inspected}
 *
 * Source: RFC 9649.
 */
export function inspectWebp(bytes) {
  const view = viewOf(bytes);
  const fileEnd = 8 + view.getUint32(4, true);
  if (fileEnd > bytes.length) damaged("cut");
  /** @type {[number, number][]} */
  const kept = [[0, 12]];
  let pictures = 0;
  let at = 12;
  while (at + 8 <= fileEnd) {
    const name = nameAt(view, at);
    const bodyEnd = at + 8 + view.getUint32(at + 4, true);
    // Chunks are padded to even lengths; some writers omit the last chunk's padding.
    const end = Math.min(bodyEnd + (bodyEnd & 1), bytes.length);
    if (bodyEnd > fileEnd) damaged("cut in a chunk");
    if (name === "VP8 " || name === "VP8L" || name === "ANMF") pictures += 1;
    if (!DROPPED.has(name)) kept.push([at, end]);
    at = end;
  }
  if (!pictures) damaged("no picture");
  const out = joined(bytes, kept);
  const outView = viewOf(out);
  outView.setUint32(4, out.length - 8, true);
  const head = readHead(view);
  if (nameAt(view, 12) === "VP8X") out[20] &= ~DROPPED_FLAGS;
  return {
    ...head,
    animated: head.animated && pictures > 1,
    exactSize: true,
    type: "image/webp",
    bytes: out,
  };
}

/**
 * @param {DataView} view
 */
function readHead(view) {
  const kind = nameAt(view, 12);
  if (kind === "VP8X") {
    const flags = view.getUint8(20);
    return {
      width: (view.getUint32(24, true) & 0xffffff) + 1,
      height: (view.getUint32(26, true) >>> 8) + 1,
      animated: Boolean(flags & ANIMATED),
      mayBeTransparent: Boolean(flags & (ALPHA | ANIMATED)),
    };
  }
  if (kind === "VP8L") {
    const bits = view.getUint32(21, true);
    return {
      width: (bits & 0x3fff) + 1,
      height: ((bits >>> 14) & 0x3fff) + 1,
      animated: false,
      mayBeTransparent: Boolean((bits >>> 28) & 1),
    };
  }
  if (kind !== "VP8 ") damaged("no picture");
  return {
    width: view.getUint16(26, true) & 0x3fff,
    height: view.getUint16(28, true) & 0x3fff,
    animated: false,
    mayBeTransparent: false,
  };
}
