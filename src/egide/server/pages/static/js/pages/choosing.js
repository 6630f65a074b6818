// @ts-check

import { byId } from "./dom.js";
import { FileList } from "./file_list.js";

/**
 * @typedef {import("./queue.js").Queue} Queue
 * @typedef {import("./words.js").Words} Words
 */

/** The step in which files are chosen and fingerprinted. */
export class Choosing {
  /**
   * @param {Queue} queue
   * @param {Words} words
   * @param {() => boolean} isOpen whether files are accepted now
   */
  constructor(queue, words, isOpen) {
    this._queue = queue;
    this._words = words;
    this._files = new FileList(queue, words);
    this._picker = byId("files", HTMLInputElement);
    this._stop = byId("stop", HTMLButtonElement);
    this._goOn = byId("go-on", HTMLButtonElement);
    this._picker.addEventListener("change", () => {
      this._take(this._picker.files ?? []);
      // Else the browser shows the file's name beside the button, and the same file cannot be
      // chosen again.
      this._picker.value = "";
    });
    this._stop.addEventListener("click", () => queue.stop());
    this._goOn.addEventListener("click", () => queue.resume());
    byId("names", HTMLInputElement).addEventListener("change", () => this._showNames());
    this._showNames();
    queue.addEventListener("change", () => this._show());
    this._acceptDrops(isOpen);
  }

  /** Whether file names are shown. */
  get namesShown() {
    return this._files.namesShown;
  }

  /** Show what prevents the person from continuing, if anything. */
  get ready() {
    const queue = this._queue;
    let key = "";
    if (queue.running) key = "busy";
    else if (!queue.items.length) key = "none";
    else if (!queue.ready.length) key = "none_ready";
    this._say("choose-error", key && this._words.text(key));
    return !key;
  }

  /** @param {Iterable<File>} files */
  _take(files) {
    const { chosen, taken } = this._queue.add(files);
    const room = taken ? "too_many" : "no_room";
    this._say("room-notice", taken < chosen ? this._words.text(room, { chosen, room: taken }) : "");
    this._say("choose-error", "");
  }

  _show() {
    const queue = this._queue;
    const waits = queue.count("waiting") > 0;
    byId("chosen", HTMLElement).hidden = queue.items.length === 0;
    byId("choose-more", HTMLElement).hidden = queue.items.length === 0;
    byId("choose-first", HTMLElement).hidden = queue.items.length > 0;
    byId("canvas-notice", HTMLElement).hidden = !queue.distorted;
    byId("overall-progress", HTMLElement).hidden = !queue.running;
    this._swap(this._stop, queue.running, this._goOn);
    this._swap(this._goOn, !queue.running && waits, this._stop);
    if (!queue.running) this._say("choose-error", "");
  }

  /**
   * Show or hide a button; if hidden, the focus moves to the other one.
   *
   * @param {HTMLButtonElement} button
   * @param {boolean} shown
   * @param {HTMLButtonElement} other
   */
  _swap(button, shown, other) {
    const hadFocus = document.activeElement === button;
    button.hidden = !shown;
    if (hadFocus && !shown) {
      other.hidden = !this._queue.count("waiting");
      (other.hidden ? byId("to-check", HTMLElement) : other).focus();
    }
  }

  _showNames() {
    this._files.namesShown = byId("names", HTMLInputElement).checked;
    this._files.showAll();
  }

  /**
   * Accept files dropped anywhere: else the browser would show the picture instead of this page.
   *
   * @param {() => boolean} isOpen
   */
  _acceptDrops(isOpen) {
    const zone = byId("drop", HTMLElement);
    for (const kind of ["dragenter", "dragover"]) {
      addEventListener(kind, (event) => {
        event.preventDefault();
        zone.classList.add("dragged-over");
      });
    }
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) zone.classList.remove("dragged-over");
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("dragged-over");
      const files = event.dataTransfer?.files;
      if (files?.length && isOpen()) this._take(files);
    });
  }

  /**
   * @param {string} id
   * @param {string} text
   */
  _say(id, text) {
    const element = byId(id, HTMLElement);
    element.textContent = text;
    element.hidden = !text;
  }
}
