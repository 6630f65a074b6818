// @ts-check

/**
 * Why a file has no fingerprint:
 *
 * - `not-an-image`: its bytes begin like no picture and no video.
 * - `damaged`: it is cut short, its parts contradict each other, or it could not be read.
 * - `too-large`: it has more bytes than are read.
 * - `too-small`: a side is under 5 pixels.
 * - `too-many-pixels`: it declares more than 50 megapixels.
 * - `canvas-distorted`: this browser changes or hides the pixels of pictures.
 * - `heic-unavailable`: the decoder for HEIC could not be loaded.
 * - `out-of-memory`: decoding failed for want of memory, or did not end.
 * - `unexpected`: a mistake of ours, or of the browser.
 *
 * @typedef {"not-an-image" | "damaged" | "too-large" | "too-small" | "too-many-pixels"
 *   | "canvas-distorted" | "heic-unavailable" | "out-of-memory" | "unexpected"} ErrorCode
 */

/** A file that cannot be fingerprinted; the page has words for each code. */
export class FingerprintError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {unknown} [cause] what another piece of software threw
   */
  constructor(code, cause) {
    super(code);
    this.name = "FingerprintError";
    this.code = code;
    this.cause = cause;
  }
}

/**
 * @param {unknown} error whatever was thrown
 */
export function asFingerprintError(error) {
  if (error instanceof FingerprintError) return error;
  return new FingerprintError(isWantOfMemory(error) ? "out-of-memory" : "unexpected", error);
}

/**
 * Browsers share no name for it, only these words: V8's "Array buffer allocation failed", Firefox's
 * bare string "out of memory", WebKit's "Out of memory", Emscripten's "Aborted(OOM)".
 *
 * @param {unknown} error
 */
function isWantOfMemory(error) {
  return /out of memory|allocat|\bOOM\b/i.test(String(error));
}
