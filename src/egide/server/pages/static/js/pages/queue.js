// @ts-check

/**
 * @typedef {import("../fingerprints/client.js").Result} Result
 * @typedef {import("../fingerprints/client.js").Fingerprinter} Fingerprinter
 * @typedef {"waiting" | "working" | "done" | "failed" | "duplicate"} ItemState
 */

/**
 * One chosen file.
 *
 * @typedef {object} Item
 * @property {number} key unique while the page is open
 * @property {number} number shown as Image 1, Image 2 …
 * @property {File} file its name is never sent
 * @property {ItemState} state
 * @property {number} share of its work that is done, 0–1
 * @property {Result | null} result
 * @property {string} code of its error
 * @property {Item | null} original the item that it duplicates
 */

/**
 * The chosen files, fingerprinted one after the other. It dispatches `change`, with the item in
 * `detail` if only one changed.
 *
 * It does not depend on the page, and no file's name or bytes leave it.
 */
export class Queue extends EventTarget {
  /**
   * @param {(onEvent: (event: {type: string, share: number}) => void) => Fingerprinter} start
   *   starts a fingerprinter; called again after a stop
   * @param {number} room how many images there may be
   * @param {number} before how many images the case already has
   */
  constructor(start, room, before) {
    super();
    this._start = start;
    this._room = room;
    this._before = before;
    /** @type {Fingerprinter | null} */
    this._fingerprinter = null;
    this._run = 0;
    this._nextKey = 1;
    /** @type {Item[]} */
    this.items = [];
    this.running = false;
    /** Whether this browser hides pixels, so that most pictures cannot be fingerprinted. */
    this.distorted = false;
  }

  /**
   * Add files, in order, while there is room, and begin.
   *
   * @param {Iterable<File>} files
   * @returns {{chosen: number, taken: number}}
   */
  add(files) {
    const chosen = [...files];
    const taken = chosen.slice(0, Math.max(0, this._room - this.wanted));
    for (const file of taken) {
      this.items.push({
        key: this._nextKey, number: 0, file, state: "waiting",
        share: 0, result: null, code: "", original: null,
      });
      this._nextKey += 1;
    }
    this._renumber();
    this.resume();
    return { chosen: chosen.length, taken: taken.length };
  }

  /** How many images take up room: all but failed ones and duplicates. */
  get wanted() {
    return this.items.length - this.count("failed") - this.count("duplicate");
  }

  /** @param {ItemState} state */
  count(state) {
    return this.items.filter((item) => item.state === state).length;
  }

  /** The items that are ready to be sent. */
  get ready() {
    return this.items.filter((item) => item.state === "done");
  }

  /** The mean progress of all files, 0–1. */
  get share() {
    const done = (/** @type {Item} */ item) =>
      item.state === "waiting" || item.state === "working" ? item.share : 1;
    return this.items.reduce((sum, item) => sum + done(item), 0) / (this.items.length || 1);
  }

  /** @param {Item} item */
  remove(item) {
    const wasWorking = item.state === "working";
    if (wasWorking) this._abandon();
    this.items = this.items.filter((other) => other !== item);
    // A duplicate of the removed item now takes its place.
    const heir = this.items.find((other) => other.original === item);
    if (heir) {
      heir.state = "done";
      heir.original = null;
      for (const other of this.items) if (other.original === item) other.original = heir;
    }
    this._renumber();
    if (wasWorking && this.running) this.resume();
  }

  /** Keep only the items to be sent, so that the shown numbers are those of the case. */
  settle() {
    this.items = this.ready;
    this._renumber();
  }

  /** Stop; the current file waits again. */
  stop() {
    this.running = false;
    this._abandon();
    this._changed();
  }

  /** Continue with the waiting files. */
  resume() {
    this.running = true;
    this._changed();
    if (!this.items.some((item) => item.state === "working")) void this._work();
  }

  async _work() {
    const run = this._run;
    for (;;) {
      const item = this.items.find(({ state }) => state === "waiting");
      if (!item || !this.running) break;
      item.state = "working";
      this._changed(item);
      try {
        const result = await this._fingerprint(item);
        if (run !== this._run) return;
        this._finish(item, result);
      } catch (error) {
        if (run !== this._run) return;
        this._fail(item, error);
      }
    }
    this.running = false;
    this._changed();
  }

  /** @param {Item} item */
  _fingerprint(item) {
    this._fingerprinter ??= this._start((event) => {
      const working = this.items.find(({ state }) => state === "working");
      if (event.type !== "progress" || !working) return;
      working.share = event.share;
      this._changed(working);
    });
    return this._fingerprinter.fingerprint(item.file);
  }

  /**
   * @param {Item} item
   * @param {Result} result
   */
  _finish(item, result) {
    item.result = result;
    item.original =
      this.items.find((other) => other.state === "done" && other.result?.sha256 === result.sha256) ??
      null;
    item.state = item.original ? "duplicate" : "done";
    this._changed(item);
  }

  /**
   * @param {Item} item
   * @param {unknown} error
   */
  _fail(item, error) {
    item.code = String(/** @type {{code?: string}} */ (error)?.code ?? "unknown");
    item.share = 0;
    item.state = "failed";
    // Videos and HEIC need no canvas, so later files may succeed.
    if (item.code === "canvas-distorted") this.distorted = true;
    this._changed(item);
  }

  /** Give up the current file by ending its fingerprinter. */
  _abandon() {
    this._run += 1;
    this._fingerprinter?.close();
    this._fingerprinter = null;
    for (const item of this.items) {
      if (item.state === "working") Object.assign(item, { state: "waiting", share: 0 });
    }
  }

  _renumber() {
    this.items.forEach((item, at) => {
      item.number = this._before + at + 1;
    });
    this._changed();
  }

  /** @param {Item} [item] */
  _changed(item) {
    this.dispatchEvent(new CustomEvent("change", { detail: item }));
  }
}
