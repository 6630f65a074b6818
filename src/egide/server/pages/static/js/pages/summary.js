// @ts-check

import { byId, copyOf, within } from "./dom.js";

/**
 * @typedef {import("./queue.js").Item} Item
 * @typedef {import("./words.js").Words} Words
 */

/**
 * All data that is sent for one image.
 *
 * @typedef {object} SentImage
 * @property {"still" | "first-frame" | "digest-only"} kind
 * @property {string | null} pdq 64 hexadecimal digits
 * @property {number | null} quality 0–100
 * @property {string} sha256 64 hexadecimal digits
 */

/**
 * @param {Item[]} items that are ready
 * @returns {SentImage[]}
 */
export function sentImages(items) {
  return items.map(({ result }) => {
    if (!result) throw new TypeError("an image that is not ready");
    const { kind, pdq, quality, sha256 } = result;
    // A picture with too little detail is sent like a video: only exact copies can be found.
    return pdq === null
      ? { kind: "digest-only", pdq: null, quality: null, sha256 }
      : { kind, pdq, quality, sha256 };
  });
}

/**
 * Show what will be sent, in words and literally.
 *
 * @param {Item[]} items that are ready, with their numbers in the case
 * @param {Words} words
 * @param {boolean} namesShown
 */
export function showSummary(items, words, namesShown) {
  const rows = items.map((item) => {
    const row = copyOf("summary-row");
    const image = words.text("image", { number: item.number });
    within(row, "th", HTMLElement).textContent = namesShown ? `${image} (${item.file.name})` : image;
    const [kind, sent] = row.querySelectorAll("td");
    kind.append(words.text(`kind.${kindKey(item)}`));
    sent.append(words.text(`sent.${sentKey(item)}`));
    return row;
  });
  byId("summary-rows", HTMLTableSectionElement).replaceChildren(...rows);
  byId("summary-exact", HTMLElement).textContent = JSON.stringify(sentImages(items), null, 1);
}

/** @param {Item} item */
function kindKey({ result }) {
  return (result?.kind ?? "digest-only").replace("-", "_");
}

/** @param {Item} item */
function sentKey({ result }) {
  if (result?.pdq === null && result.kind !== "digest-only") return "low_detail";
  return (result?.kind ?? "digest-only").replace("-", "_");
}
