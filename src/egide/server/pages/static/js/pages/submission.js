// @ts-check

import { solve } from "./work.js";

const ANSWER_TIMEOUT_MS = 30_000;
const RETRY_AFTER_MS = 1_500;
const MAX_ROUNDS = 4;
/** Statuses of a server that restarts or is overloaded; the request may be repeated. */
const PASSING = new Set([408, 502, 503, 504]);

/**
 * Where submissions are sent, and with which token.
 *
 * @typedef {object} Route
 * @property {string} challengeUrl
 * @property {string} submitUrl
 * @property {string} csrf
 * @property {() => Promise<string>} renewCsrf fetches a currently valid token
 */

/** A submission was not sent; `code` is a key under `problem` of the words. */
export class NotSent extends Error {
  /**
   * @param {string} code
   * @param {{retryAfterS?: number, reason?: string}} [details]
   */
  constructor(code, { retryAfterS = 0, reason = "" } = {}) {
    super(code);
    this.code = code;
    this.retryAfterS = retryAfterS;
    this.reason = reason;
  }
}

/**
 * One submission, registered once however often it is sent: its challenge identifies it, and the
 * server answers a repetition with the same case.
 */
export class Submission {
  /** @param {Route} route */
  constructor(route) {
    this._route = route;
    this._csrf = route.csrf;
    /** @type {{challenge: string, nonce: number} | null} */
    this._proof = null;
  }

  /**
   * Solve the server's puzzle, then send; a lost connection is retried once.
   *
   * @param {Record<string, unknown>} fields all but the proof
   * @param {(phase: "puzzle" | "sending") => void} onPhase
   * @returns {Promise<string>} the address of the page to go to
   * @throws {NotSent}
   */
  async send(fields, onPhase) {
    let renewed = false;
    let last = new NotSent("unknown");
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      try {
        if (!this._proof) {
          onPhase("puzzle");
          const { challenge } = await this._post(this._route.challengeUrl, {});
          this._proof = { challenge, nonce: await solve(challenge) };
        }
        onPhase("sending");
        return (await this._post(this._route.submitUrl, { ...this._proof, ...fields })).next;
      } catch (error) {
        if (!(error instanceof NotSent)) throw error;
        last = error;
        if (error.code === "proof-expired" || error.code === "proof-invalid") {
          this._proof = null;
        } else if (error.code === "form-expired" && !renewed) {
          renewed = true;
          this._csrf = await this._route.renewCsrf();
        } else {
          break;
        }
      }
    }
    throw last;
  }

  /**
   * @param {string} url
   * @param {unknown} body
   * @returns {Promise<any>}
   */
  async _post(url, body) {
    try {
      return await this._postOnce(url, body);
    } catch (error) {
      if (!(error instanceof NotSent) || (error.code !== "offline" && error.code !== "busy")) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
      return this._postOnce(url, body);
    }
  }

  /**
   * @param {string} url
   * @param {unknown} body
   */
  async _postOnce(url, body) {
    const aborting = new AbortController();
    const timer = setTimeout(() => aborting.abort(), ANSWER_TIMEOUT_MS);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          Accept: "application/json",
          "Content-Type": "application/json",
          "X-CSRF-Token": this._csrf,
        },
        body: JSON.stringify(body),
        credentials: "same-origin",
        cache: "no-store",
        redirect: "error",
        signal: aborting.signal,
      });
      if (response.ok) return await response.json();
      throw await refusal(response);
    } catch (error) {
      throw error instanceof NotSent ? error : new NotSent("offline");
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * @param {Response} response an error
 * @returns {Promise<NotSent>}
 */
async function refusal(response) {
  /** @type {{code?: string, reason?: string, retry_after_s?: number}} */
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // A proxy's answer has no code of ours: use its status.
  }
  if (PASSING.has(response.status)) return new NotSent("busy");
  return new NotSent(problem.code ?? "unknown", {
    retryAfterS: problem.retry_after_s ?? 0,
    reason: problem.reason ?? "",
  });
}
