// @ts-check
/**
 * The way out, on every page: the link at the top, or Shift three times. The page's content
 * disappears at once, and the session ends in the background. The neutral page replaces this one in
 * the history. Earlier pages stay in the history: no page can erase them.
 */

const PRESSES = 3;
const WITHIN_MS = 1500;
/** On this event of `document`, pages drop the data that they hold. */
export const LEAVING = "egide:leaving";

let leaving = false;

/**
 * Whether the person is leaving: then nothing may ask for confirmation.
 * @returns {boolean} true once they asked to leave
 */
export function isLeaving() {
  return leaving;
}

/**
 * Leave at once.
 * @param {HTMLAnchorElement} exit the link; its address ends the session, and `data-exit-url` is the
 *   neutral page
 */
function leave(exit) {
  if (leaving) return;
  leaving = true;
  const neutral = exit.dataset.exitUrl ?? "about:blank";
  endSession(exit.href);
  document.dispatchEvent(new Event(LEAVING));
  location.replace(neutral);
  // The next page may take a while to load; until then, nothing of this one is visible.
  document.title = "";
  document.body.replaceChildren();
}

/**
 * Tell the server without waiting; its answer deletes the cookie and the stored data.
 * @param {string} address of `leave`
 */
function endSession(address) {
  try {
    sessionStorage.clear();
  } catch {
    // Storage is disabled, hence empty.
  }
  try {
    // Unlike that of a beacon, its answer can delete the cookie in every browser.
    fetch(address, { method: "POST", keepalive: true, redirect: "manual" }).catch(() => {});
  } catch {
    navigator.sendBeacon?.(address);
  }
}

/**
 * Call `act` when Shift is pressed alone, three times in a short while.
 * @param {() => void} act
 */
function onThreeShifts(act) {
  /** @type {number[]} */
  let pressed = [];
  let alone = false;
  addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Shift") {
        // Shift with another key, as for a capital letter.
        alone = false;
        pressed = [];
      } else if (!event.repeat) {
        alone = true;
      }
    },
    true,
  );
  addEventListener(
    "keyup",
    (event) => {
      if (event.key !== "Shift" || !alone) return;
      alone = false;
      pressed = [...pressed, event.timeStamp].filter((at) => event.timeStamp - at < WITHIN_MS);
      if (pressed.length >= PRESSES) act();
    },
    true,
  );
}

const exit = document.getElementById("exit");
if (exit instanceof HTMLAnchorElement) {
  exit.addEventListener("click", (event) => {
    event.preventDefault();
    leave(exit);
  });
  onThreeShifts(() => leave(exit));
  // A page restored from memory, emptied or not, is reloaded.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}
