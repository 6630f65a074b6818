// @ts-check

import { canDecodeInWorker } from "./decode.js";
import { asFingerprintError } from "./errors.js";
import { fingerprintFile } from "./fingerprint.js";

/**
 * @typedef {{ ready: boolean } | { progress: number } | { result: import("./fingerprint.js").Result }
 *   | { failed: import("./errors.js").ErrorCode }} FromWorker
 */

/** @param {FromWorker} message */
const tell = (message) => self.postMessage(message);

const pace = {
  /** @param {number} share */
  progress: (share) => tell({ progress: share }),
  breathe: () => Promise.resolve(),
};

self.addEventListener("message", async ({ data: file }) => {
  try {
    tell({ result: await fingerprintFile(file, pace) });
  } catch (error) {
    tell({ failed: asFingerprintError(error).code });
  }
});

tell({ ready: canDecodeInWorker() });
