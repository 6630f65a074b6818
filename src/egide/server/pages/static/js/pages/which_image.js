// @ts-check

/* Find which image of the case a file is. The file is read and compared here; nothing is sent. */

import { Sha256 } from "../fingerprints/sha256.js";
import { byId } from "./dom.js";
import { LEAVING } from "./exit.js";
import { Words } from "./words.js";

const CHUNK_BYTES = 1 << 20;

/** @param {HTMLElement} section with `data-salt` and `data-tags`, a tag for each image */
function start(section) {
  const words = Words.of(document);
  const picker = byId("which-file", HTMLInputElement);
  const answer = byId("which-answer", HTMLElement);
  const salt = fromHex(section.dataset.salt ?? "");
  const tags = (section.dataset.tags ?? "").split(" ");
  let asked = 0;

  /** @param {File} file */
  async function compare(file) {
    const turn = ++asked;
    /** @param {string} text */
    const say = (text) => {
      if (turn === asked) answer.textContent = text;
    };
    try {
      const digest = await digestOf(file, (share) => {
        say(words.text("working", { percent: words.percent(share) }));
        return turn === asked;
      });
      if (!digest) return;
      const found = tags.indexOf(tagOf(digest, salt));
      say(found < 0 ? words.text("missing") : words.text("found", { number: found + 1 }));
    } catch {
      say(words.text("unreadable"));
    }
  }

  picker.addEventListener("change", () => {
    const file = picker.files?.[0];
    // Else the browser shows the file's name, and the same file cannot be chosen again.
    picker.value = "";
    if (file) void compare(file);
  });
  document.addEventListener(LEAVING, () => {
    asked += 1;
  });
}

/**
 * @param {Blob} file
 * @param {(share: number) => boolean} goOn whether the result is still wanted
 * @returns {Promise<Uint8Array | null>} its SHA-256, or null if it is no longer wanted
 */
async function digestOf(file, goOn) {
  const sha256 = new Sha256();
  for (let at = 0; at < file.size; at += CHUNK_BYTES) {
    if (!goOn(at / file.size)) return null;
    sha256.update(new Uint8Array(await file.slice(at, at + CHUNK_BYTES).arrayBuffer()));
  }
  return sha256.digest();
}

/**
 * The same as `egide.domain.cases.image_tag`.
 *
 * @param {Uint8Array} digest
 * @param {Uint8Array} salt
 */
function tagOf(digest, salt) {
  const sha256 = new Sha256();
  sha256.update(salt);
  sha256.update(digest);
  return Array.from(sha256.digest(), (byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, 5);
}

/** @param {string} digits */
function fromHex(digits) {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

start(byId("which", HTMLElement));
