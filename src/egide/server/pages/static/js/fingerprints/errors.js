// @ts-check

/**
 * Why a file has no fingerprint:
 *
 * - `not-an-image`: its first bytes are those of no known picture or video format.
 * - `damaged`: it is truncated, inconsistent or unreadable.
 * - `too-large`: it has too many bytes.
 * - `too-small`: a side is under 5 pixels.
 * - `too-many-pixels`: it declares more than 110 megapixels.
 * - `canvas-distorted`: this browser changes or hides the pixels of pictures.
 * - `heic-unavailable`: the decoder for HEIC could not be loaded.
 * - `out-of-memory`: decoding ran out of memory, or did not end.
 * - `unexpected`: a bug of ours, or of the browser.
 *
 * @typedef {"not-an-image" | "damaged" | "too-large" | "too-small" | "too-many-pixels"
 *   | "canvas-distorted" | "heic-unavailable" | "out-of-memory" | "unexpected"} ErrorCode
 */

/** A file that cannot be fingerprinted; the page has words for each code. */
export class FingerprintError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {unknown} [cause] the original error
   */
  constructor(code, cause) {
    super(code);
    this.name = "FingerprintError";
    this.code = code;
    this.cause = cause;
  }
}

/**
 * @param {unknown} error any thrown value
 */
export function asFingerprintError(error) {
  if (error instanceof FingerprintError) return error;
  return new FingerprintError(isWantOfMemory(error) ? "out-of-memory" : "unexpected", error);
}

/**
 * Recognize lack of memory by its message, since browsers share no name for it: V8's "Array buffer
 * allocation failed", Firefox's bare string "out of memory", WebKit's "Out of memory", Emscripten's
 * "Aborted(OOM)".
 *
 * @param {unknown} error
 */
function isWantOfMemory(error) {
  return /out of memory|allocat|\bOOM\b/i.test(String(error));
}
