// @ts-check

import { byId } from "./dom.js";

/** @typedef {import("./words.js").Words} Words */

const MIN_CHARS = 6;
const MAX_CHARS = 64;
/** Words for the server's reasons to refuse a PIN, other than that it is easy to guess. */
const REFUSALS = /** @type {Record<string, string>} */ ({
  "too-short": "pin_short",
  "too-long": "pin_long",
  unprintable: "pin_odd",
});

/**
 * The two fields for a new PIN. Simple mistakes are shown at once; the server decides whether a PIN
 * is too easy to guess.
 */
export class PinForm {
  /**
   * @param {Words} words
   * @param {(pin: string) => void} onChosen
   */
  constructor(words, onChosen) {
    this._words = words;
    this._form = byId("pin-form", HTMLFormElement);
    this._pin = byId("pin", HTMLInputElement);
    this._again = byId("pin-again", HTMLInputElement);
    this._form.addEventListener("submit", (event) => {
      event.preventDefault();
      const problem = this._problem();
      this._say(this._pin, problem && problem !== "pin_differs" ? words.text(problem) : "");
      this._say(this._again, problem === "pin_differs" ? words.text(problem) : "");
      if (!problem) onChosen(this._pin.value);
    });
    const show = byId("pin-show", HTMLInputElement);
    const reveal = () => {
      for (const field of [this._pin, this._again]) field.type = show.checked ? "text" : "password";
    };
    show.addEventListener("change", reveal);
    reveal(); // a browser checks the box again when it restores the page
  }

  /** @param {string} reason the `reason` of the server's PinRefused */
  refuse(reason) {
    const key = REFUSALS[reason] ?? "pin_easy";
    this._say(this._pin, this._words.text(key));
  }

  _problem() {
    const length = [...this._pin.value.normalize("NFKC").trim()].length;
    if (length < MIN_CHARS) return "pin_short";
    if (length > MAX_CHARS) return "pin_long";
    return this._pin.value === this._again.value ? "" : "pin_differs";
  }

  /**
   * @param {HTMLInputElement} field
   * @param {string} text its mistake, or empty
   */
  _say(field, text) {
    const error = byId(`${field.id}-error`, HTMLElement);
    error.textContent = text;
    error.hidden = !text;
    field.closest(".field")?.classList.toggle("wrong", text !== "");
    if (text) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
    if (text) field.focus();
  }
}
