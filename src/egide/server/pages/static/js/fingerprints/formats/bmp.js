// @ts-check

import { viewOf } from "./bytes.js";

/**
 * @param {Uint8Array} bytes
 * @returns {import("../formats.js").Inspected}
 */
export function inspectBmp(bytes) {
  const view = viewOf(bytes);
  const old = view.getUint32(14, true) === 12;
  return {
    width: old ? view.getUint16(18, true) : Math.abs(view.getInt32(18, true)),
    // Negative if the rows go from top to bottom.
    height: old ? view.getUint16(20, true) : Math.abs(view.getInt32(22, true)),
    animated: false,
    mayBeTransparent: !old && view.getUint16(28, true) > 24,
    exactSize: true,
    type: "image/bmp",
    bytes,
  };
}
