// @ts-check

/* Save the card of a case as a plain-text file, made here; the file's name reveals nothing. */

import { byId } from "./dom.js";

const FORGET_AFTER_MS = 10_000;

byId("save-card", HTMLButtonElement).addEventListener("click", () => {
  const card = byId("card", HTMLElement);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([cardText(card)], { type: "text/plain" }));
  link.download = `${card.dataset.fileName}.txt`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), FORGET_AFTER_MS);
});

/**
 * @param {HTMLElement} card
 * @returns {string} its lines
 */
function cardText(card) {
  const lines = [...card.querySelectorAll("h2, dt, dd, p")].map((part) => {
    const text = part.textContent?.trim() ?? "";
    return part.tagName === "DT" ? `\r\n${text}:` : text;
  });
  // The mark tells old editors that the file is UTF-8; all of them know these line ends.
  return `\ufeff${lines.join("\r\n")}\r\n`;
}
