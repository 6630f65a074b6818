// @ts-check

import { byId } from "./dom.js";
import { NotSent, Submission } from "./submission.js";

/**
 * @typedef {import("./submission.js").Route} Route
 * @typedef {import("./words.js").Words} Words
 */

const MINUTE_S = 60;
/** Errors that another attempt cannot solve. */
const FINAL = new Set(["case_closed", "case_full", "refused"]);

/** Words for the server's error codes: keys under `problem`. */
const PROBLEMS = /** @type {Record<string, string>} */ ({
  offline: "offline",
  busy: "busy",
  overloaded: "busy",
  "form-expired": "form_expired",
  "sign-in-needed": "signed_out",
  "case-changed": "case_changed",
  "case-ended": "case_closed",
  "case-not-found": "case_closed",
  "case-full": "case_full",
  "rate-limited": "too_often",
  "submission-conflict": "conflict",
  "request-invalid": "refused",
  "body-too-large": "refused",
});

/** The step that sends everything: progress, errors, and another attempt. */
export class Sending {
  /**
   * @param {Words} words
   * @param {Route} route
   */
  constructor(words, route) {
    this._words = words;
    this._submission = new Submission(route);
    this._status = byId("sending-status", HTMLElement);
    this._problem = byId("sending-problem", HTMLElement);
    this._bar = byId("sending-bar", HTMLProgressElement);
    this._again = byId("try-again", HTMLButtonElement);
    this._back = byId("sending-back", HTMLButtonElement);
    this.busy = false;
  }

  /**
   * Send until the submission arrives, or until the person leaves this step.
   *
   * @param {Record<string, unknown>} fields
   * @returns {Promise<string>} the page to go to
   * @throws {NotSent} the PIN is refused
   */
  async send(fields) {
    for (;;) {
      this._show(null);
      this.busy = true;
      try {
        const next = await this._submission.send(fields, (phase) => {
          this._status.textContent = this._words.text(phase);
        });
        this._status.textContent = this._words.text("finished");
        return next;
      } catch (error) {
        if (!(error instanceof NotSent) || error.code === "pin-refused") throw error;
        this.busy = false;
        this._show(error);
        await new Promise((resolve) => {
          this._again.onclick = resolve;
        });
      } finally {
        this.busy = false;
      }
    }
  }

  /** @param {NotSent | null} error */
  _show(error) {
    const key = error && (PROBLEMS[error.code] ?? "unknown");
    this._bar.hidden = error !== null;
    this._problem.hidden = error === null;
    this._again.hidden = error === null || FINAL.has(String(key));
    this._back.hidden = error === null;
    if (!error) return;
    const words = this._words;
    const minutes = Math.max(1, Math.ceil(error.retryAfterS / MINUTE_S));
    const wait = words.plural("wait.minutes", minutes);
    this._status.textContent = "";
    this._problem.textContent = "";
    for (const text of [words.text(`problem.${key}`, { wait }), words.text("nothing_lost")]) {
      const line = document.createElement("p");
      line.textContent = text;
      this._problem.append(line);
    }
  }
}
