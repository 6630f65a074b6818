// @ts-check

import { byId, copyOf, within } from "./dom.js";

/**
 * @typedef {import("./queue.js").Item} Item
 * @typedef {import("./queue.js").Queue} Queue
 * @typedef {import("./words.js").Words} Words
 */

const FILE_PROBLEMS = new Set([
  "not_an_image", "damaged", "too_large", "too_small", "too_many_pixels", "heic_unavailable",
  "out_of_memory",
]);

/** The list of chosen files: numbers and sizes, and names only on request. */
export class FileList {
  /**
   * @param {Queue} queue
   * @param {Words} words
   */
  constructor(queue, words) {
    this._queue = queue;
    this._words = words;
    this._list = byId("file-list", HTMLOListElement);
    this._overall = byId("overall", HTMLProgressElement);
    this._status = byId("overall-status", HTMLElement);
    /** @type {Map<number, HTMLElement>} */
    this._rows = new Map();
    this.namesShown = false;
    queue.addEventListener("change", (event) => {
      const item = /** @type {CustomEvent<Item | undefined>} */ (event).detail;
      if (item) this._show(item);
      else this.showAll();
      this._summarise();
    });
  }

  showAll() {
    const kept = new Set(this._queue.items.map(({ key }) => key));
    for (const [key, row] of this._rows) {
      if (kept.has(key)) continue;
      row.remove();
      this._rows.delete(key);
    }
    for (const item of this._queue.items) this._show(item);
  }

  /** @param {Item} item */
  _show(item) {
    if (!this._queue.items.includes(item)) return;
    const row = this._rows.get(item.key) ?? this._append(item);
    const words = this._words;
    const label = words.text("image_size", {
      number: item.number,
      size: words.size(item.file.size),
    });
    within(row, ".file-name", HTMLElement).textContent = label;
    const name = within(row, ".file-own-name", HTMLElement);
    name.textContent = this.namesShown ? item.file.name : "";
    name.hidden = !this.namesShown;
    row.dataset.state = item.state;
    within(row, ".file-state", HTMLElement).textContent = this._state(item);
    const bar = within(row, "progress", HTMLProgressElement);
    bar.hidden = item.state !== "working";
    bar.value = item.share;
    bar.setAttribute("aria-label", words.text("image", { number: item.number }));
    within(row, "button", HTMLButtonElement).setAttribute(
      "aria-label", words.text("remove", { number: item.number }),
    );
  }

  /** @param {Item} item */
  _append(item) {
    const row = copyOf("file-row");
    within(row, "button", HTMLButtonElement).addEventListener("click", () => {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      this._queue.remove(item);
      // The focused button is gone; without this, the keyboard would start at the top again.
      const heir = next?.querySelector("button") ?? byId("choose-heading", HTMLElement);
      /** @type {HTMLElement} */ (heir).focus();
    });
    this._list.append(row);
    this._rows.set(item.key, row);
    return row;
  }

  /** @param {Item} item */
  _state(item) {
    const words = this._words;
    switch (item.state) {
      case "working":
        return words.text("working", { percent: words.percent(item.share) });
      case "done":
        return this._done(item);
      case "duplicate":
        return words.text("duplicate", { number: item.original?.number ?? "" });
      case "failed":
        return words.text(`file.${fileProblem(item.code)}`);
      default:
        return words.text(this._queue.running ? "waiting" : "stopped");
    }
  }

  /** @param {Item} item */
  _done({ result }) {
    const share = result?.shareRead;
    if (share !== undefined && result?.pdq !== null) {
      return this._words.text("done_cut", { percent: this._words.percent(share) });
    }
    return this._words.text(result?.pdq === null ? "done_exact" : "done");
  }

  _summarise() {
    const queue = this._queue;
    this._overall.value = queue.share;
    const said = [];
    if (queue.running) {
      const finished = queue.items.length - queue.count("waiting") - queue.count("working");
      said.push(this._words.text("overall", { done: finished, total: queue.items.length }));
    } else if (queue.ready.length) {
      said.push(this._words.plural("ready", queue.ready.length));
    }
    const duplicates = queue.count("duplicate");
    const failed = queue.count("failed");
    if (duplicates) said.push(this._words.plural("left_out", duplicates));
    if (failed && queue.ready.length) said.push(this._words.plural("failed", failed));
    const text = said.join(" ");
    // A screen reader speaks whenever the text is set, so set it only if it changed.
    if (this._status.textContent !== text) this._status.textContent = text;
  }
}

/**
 * @param {string} code of a FingerprintError, such as `not-an-image`
 * @returns {string} the key of its words
 */
export function fileProblem(code) {
  const key = code.replaceAll("-", "_");
  return FILE_PROBLEMS.has(key) ? key : "unknown";
}
