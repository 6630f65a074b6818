// @ts-check

import { asFingerprintError, FingerprintError } from "./errors.js";

export { FingerprintError };

/** @typedef {import("./fingerprint.js").Result} Result */

/**
 * @typedef {{ type: "progress", file: Blob, share: number }} FingerprintEvent
 */

/** Loading the worker over Tor is slow; after this time the main thread does the work. */
const START_LIMIT_MS = 30_000;
/** A file is given up after this time without progress; without a JIT, decoding takes minutes. */
const STALL_LIMIT_MS = 180_000;
/** On the main thread: how long the page may be blocked. */
const SLICE_MS = 12;

/** Fingerprints files one after the other, in the given order. */
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
   * @throws {FingerprintError} for this file only; the next ones are not affected
   * @throws {DOMException} `AbortError`: this was closed before
   */
  fingerprint(file) {
    const turn = this._last.then(() => this._next(file));
    this._last = turn.catch(() => {});
    return turn;
  }

  /** End the worker, and give up unfinished files. */
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

/** The worker ended, or no longer responds. */
class WorkerLost extends Error {}

/**
 * @param {AbortSignal} signal
 */
function checkOpen(signal) {
  if (signal.aborted) throw new DOMException("closed", "AbortError");
}

/**
 * @param {AbortSignal} closing
 * @returns {Promise<Worker | null>} null if this browser has no module workers (Firefox before 114)
 *   or no canvas in them (Safari before 16.4)
 */
async function startWorker(closing) {
  /** @type {Worker | undefined} */
  let worker;
  try {
    worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    const message = await nextMessage(worker, START_LIMIT_MS, () => {}, closing);
    if ("ready" in message && message.ready) return worker;
  } catch {
    // Whatever fails in workers, the main thread needs none.
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
 * Wait for the next message other than progress.
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
    // Few browsers need it here, so the page does not wait for it.
    const { fingerprintFile } = await import("./fingerprint.js");
    return await fingerprintFile(file, { progress, breathe });
  } catch (error) {
    checkOpen(closing);
    throw asFingerprintError(error);
  }
}
