// @ts-check

import { asFingerprintError, FingerprintError } from "./errors.js";
import { fingerprintFile } from "./fingerprint.js";

export { FingerprintError };

/** @typedef {import("./fingerprint.js").Result} Result */

/**
 * @typedef {{ type: "progress", file: Blob, share: number }} FingerprintEvent
 */

/** Loading it over Tor takes its time; after this the main thread does the work. */
const START_LIMIT_MS = 30_000;
/** Without progress for so long, a file is given up: decoding alone may take minutes without a JIT. */
const STALL_LIMIT_MS = 180_000;
/** On the main thread: how long a page may be held up. */
const SLICE_MS = 12;

/** Fingerprints files, one after the other, in the order they are given. */
export class Fingerprinter {
  /**
   * @param {object} [options]
   * @param {(event: FingerprintEvent) => void} [options.onEvent]
   * @param {boolean} [options.forceMainThread] for tests, and for browsers whose workers fail
   */
  constructor({ onEvent = () => {}, forceMainThread = false } = {}) {
    this._onEvent = onEvent;
    this._onMainThread = forceMainThread || typeof Worker !== "function";
    /** @type {Promise<unknown>} */
    this._last = Promise.resolve();
    /** @type {Worker | null} */
    this._worker = null;
    this._closing = new AbortController();
  }

  /**
   * @param {Blob} file
   * @returns {Promise<Result>}
   * @throws {FingerprintError} for this file only; the next ones go on
   * @throws {DOMException} `AbortError`: it was closed before
   */
  fingerprint(file) {
    const turn = this._last.then(() => this._next(file));
    this._last = turn.catch(() => {});
    return turn;
  }

  /** End the worker, and give up the files that are not done. */
  close() {
    this._closing.abort();
    this._endWorker();
  }

  _endWorker() {
    this._worker?.terminate();
    this._worker = null;
  }

  /**
   * @param {Blob} file
   * @returns {Promise<Result>}
   */
  async _next(file) {
    /** @param {number} share */
    const progress = (share) => this._onEvent({ type: "progress", file, share });
    const { signal } = this._closing;
    checkOpen(signal);
    if (!this._onMainThread && !this._worker) {
      this._worker = await startWorker(signal);
      checkOpen(signal);
      this._onMainThread = !this._worker;
    }
    if (!this._worker) return onMainThread(file, progress, signal);
    try {
      return await inWorker(this._worker, file, progress, signal);
    } catch (error) {
      checkOpen(signal);
      if (!(error instanceof WorkerLost)) throw error;
      this._endWorker();
      throw new FingerprintError("out-of-memory", error);
    }
  }
}

/** The worker ended, or says nothing any more. */
class WorkerLost extends Error {}

/**
 * @param {AbortSignal} signal
 */
function checkOpen(signal) {
  if (signal.aborted) throw new DOMException("closed", "AbortError");
}

/**
 * @param {AbortSignal} closing
 * @returns {Promise<Worker | null>} null where workers cannot do it here: no module workers (Firefox
 *   before 114), or no canvas in them (Safari before 16.4)
 */
async function startWorker(closing) {
  /** @type {Worker | undefined} */
  let worker;
  try {
    worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    const message = await nextMessage(worker, START_LIMIT_MS, () => {}, closing);
    if ("ready" in message && message.ready) return worker;
  } catch {
    // Whatever is wrong with workers, the main thread needs none.
  }
  worker?.terminate();
  return null;
}

/**
 * @param {Worker} worker
 * @param {Blob} file
 * @param {(share: number) => void} progress
 * @param {AbortSignal} closing
 */
async function inWorker(worker, file, progress, closing) {
  const answer = nextMessage(worker, STALL_LIMIT_MS, progress, closing);
  worker.postMessage(file);
  const message = await answer;
  if ("result" in message) return message.result;
  throw new FingerprintError("failed" in message ? message.failed : "unexpected");
}

/**
 * Wait for a message that is not about progress.
 *
 * @param {Worker} worker
 * @param {number} limitMs without any message
 * @param {(share: number) => void} progress
 * @param {AbortSignal} closing
 * @returns {Promise<import("./worker.js").FromWorker>}
 */
function nextMessage(worker, limitMs, progress, closing) {
  return new Promise((resolve, reject) => {
    const listening = new AbortController();
    const { signal } = listening;
    const lose = () => {
      listening.abort();
      reject(new WorkerLost());
    };
    let timer = setTimeout(lose, limitMs);
    signal.addEventListener("abort", () => clearTimeout(timer));
    closing.addEventListener("abort", lose, { signal });
    worker.addEventListener("error", lose, { signal });
    worker.addEventListener("messageerror", lose, { signal });
    worker.addEventListener(
      "message",
      ({ data }) => {
        if ("progress" in data) {
          clearTimeout(timer);
          timer = setTimeout(lose, limitMs);
          progress(data.progress);
          return;
        }
        listening.abort();
        resolve(data);
      },
      { signal },
    );
  });
}

/**
 * @param {Blob} file
 * @param {(share: number) => void} progress
 * @param {AbortSignal} closing
 * @returns {Promise<Result>}
 */
async function onMainThread(file, progress, closing) {
  let sliceEnd = performance.now() + SLICE_MS;
  const breathe = async () => {
    if (performance.now() < sliceEnd) return;
    await new Promise((resolve) => setTimeout(resolve));
    checkOpen(closing);
    sliceEnd = performance.now() + SLICE_MS;
  };
  try {
    return await fingerprintFile(file, { progress, breathe });
  } catch (error) {
    checkOpen(closing);
    throw asFingerprintError(error);
  }
}
