// @ts-check

import { FingerprintError } from "../errors.js";

/**
 * @param {Uint8Array} bytes
 */
export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * @param {Uint8Array} bytes
 * @param {ArrayLike<number>} magic
 */
export function startsWith(bytes, magic) {
  for (let k = 0; k < magic.length; k += 1) if (bytes[k] !== magic[k]) return false;
  return true;
}

/**
 * Read a four-character code, the name of a part in many formats.
 *
 * @param {DataView} view
 * @param {number} at
 */
export function nameAt(view, at) {
  const code = view.getUint32(at);
  return String.fromCharCode(code >>> 24, (code >>> 16) & 255, (code >>> 8) & 255, code & 255);
}

/**
 * Copy ranges of a file into one buffer.
 *
 * @param {Uint8Array} bytes
 * @param {[number, number][]} stretches start and end of each
 */
export function joined(bytes, stretches) {
  const out = new Uint8Array(stretches.reduce((sum, [start, end]) => sum + end - start, 0));
  let at = 0;
  for (const [start, end] of stretches) {
    out.set(bytes.subarray(start, end), at);
    at += end - start;
  }
  return out;
}

/**
 * Report that a file is truncated or inconsistent.
 *
 * @param {string} found
 * @returns {never}
 */
export function damaged(found) {
  throw new FingerprintError("damaged", found);
}
