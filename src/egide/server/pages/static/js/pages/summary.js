// @ts-check

import { byId, copyOf, within } from "./dom.js";

/**
 * @typedef {import("../fingerprints/client.js").Result} Result
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
 * @property {string[]} [anchored] fingerprints of parts, 64 hexadecimal digits each
 * @property {string} sha256 64 hexadecimal digits
 */

/**
 * @param {Item[]} items that are ready
 * @param {boolean} withParts whether the fingerprints of parts are sent too
 * @returns {SentImage[]}
 */
export function sentImages(items, withParts) {
  return items.map(({ result }) => {
    if (!result) throw new TypeError("an image that is not ready");
    return sentImage(result, withParts);
  });
}

/**
 * @param {Result} result
 * @param {boolean} withParts
 * @returns {SentImage}
 */
function sentImage({ kind, pdq, quality, anchored, sha256 }, withParts) {
  // A picture with too little detail is sent like a video: only exact copies can be found.
  if (pdq === null) return { kind: "digest-only", pdq: null, quality: null, sha256 };
  const whole = { kind, pdq, quality, sha256 };
  return withParts && anchored.length ? { ...whole, anchored } : whole;
}

/**
 * Show what will be sent, in words and literally; and the choice to send no parts, if there are any.
 *
 * @param {Item[]} items that are ready, with their numbers in the case
 * @param {Words} words
 * @param {{namesShown: boolean, withParts: boolean}} options
 */
export function showSummary(items, words, { namesShown, withParts }) {
  const rows = items.map((item) => {
    const row = copyOf("summary-row");
    const image = words.text("image", { number: item.number });
    within(row, "th", HTMLElement).textContent = namesShown ? `${image} (${item.file.name})` : image;
    const [kind, sent] = row.querySelectorAll("td");
    kind.append(words.text(`kind.${kindKey(item)}`));
    sent.append(words.text(`sent.${sentKey(item)}`));
    const parts = withParts ? (item.result?.anchored.length ?? 0) : 0;
    if (parts) sent.append(` ${words.plural("parts", parts)}`);
    return row;
  });
  byId("summary-rows", HTMLTableSectionElement).replaceChildren(...rows);
  const exact = JSON.stringify(sentImages(items, withParts), null, 1);
  byId("summary-exact", HTMLElement).textContent = exact;
  byId("parts", HTMLElement).hidden = !items.some(({ result }) => result?.anchored.length);
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
