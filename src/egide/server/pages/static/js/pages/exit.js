// @ts-check
/**
 * The way out, on every page: the link at the top, or Shift three times. What the page shows goes
 * at once; the session ends behind; the neutral page takes the place of this one in the history.
 * What came before stays in the history: no page can erase it.
 */

const PRESSES = 3;
const WITHIN_MS = 1500;
/** Pages that hold something of their own drop it when they hear this on `document`. */
export const LEAVING = "egide:leaving";

let leaving = false;

/**
 * Whether the person is on the way out: then nothing may ask whether they are sure.
 * @returns {boolean} true from the moment they asked to leave
 */
export function isLeaving() {
  return leaving;
}

/**
 * Leave at once.
 * @param {HTMLAnchorElement} exit the link; its address ends the session, `data-exit-url` is
 *   where to go
 */
function leave(exit) {
  if (leaving) return;
  leaving = true;
  const neutral = exit.dataset.exitUrl ?? "about:blank";
  endSession(exit.href);
  document.dispatchEvent(new Event(LEAVING));
  location.replace(neutral);
  // The next page may take a while to come; until then there is nothing to be seen of this one.
  document.title = "";
  document.body.replaceChildren();
}

/**
 * Tell the server, without waiting for it; it sends the cookie back and clears what is stored.
 * @param {string} address of `leave`
 */
function endSession(address) {
  try {
    sessionStorage.clear();
  } catch {
    // Storage is switched off: there is nothing in it.
  }
  try {
    // Unlike a beacon, its answer can take the cookie back in every browser.
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
        // A capital letter is Shift with another key.
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
  // A page that comes back from memory, emptied or not, is asked for anew.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}
