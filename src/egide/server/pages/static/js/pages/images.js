// @ts-check

/* Register images, or add them to a case: choose, check, PIN, send. */

import { Fingerprinter } from "../fingerprints/client.js";
import { Choosing } from "./choosing.js";
import { byId } from "./dom.js";
import { isLeaving, LEAVING } from "./exit.js";
import { PinForm } from "./pin.js";
import { Queue } from "./queue.js";
import { Sending } from "./sending.js";
import { Steps } from "./steps.js";
import { NotSent } from "./submission.js";
import { sentImages, showSummary } from "./summary.js";
import { Words } from "./words.js";

/**
 * @param {HTMLElement} app with the server's values in `data-…`
 */
function start(app) {
  const { data, adding } = { data: app.dataset, adding: app.dataset.mode === "add" };
  const words = Words.of(document);
  const queue = new Queue(
    (onEvent) => new Fingerprinter({ onEvent }), Number(data.room), Number(data.before),
  );
  const steps = new Steps(["choose", "check", ...(adding ? [] : ["pin-step"]), "sending"], mayShow);
  const choosing = new Choosing(queue, words, () => steps.current === "choose");
  const sending = new Sending(words, {
    challengeUrl: data.challenge ?? "",
    submitUrl: data.submit ?? "",
    csrf: data.csrf ?? "",
    renewCsrf: () => freshToken(data.token ?? ""),
  });
  const pin = adding ? null : new PinForm(words, (chosen) => void send({ pin: chosen }));
  const withoutParts = byId("without-parts", HTMLInputElement);
  let sent = false;

  /** @param {string} to */
  function mayShow(to) {
    if (sending.busy || sent) return false;
    if (to === "sending") return false;
    return to === "choose" || queue.ready.length > 0;
  }

  function summarise() {
    const withParts = !withoutParts.checked;
    showSummary(queue.ready, words, { namesShown: choosing.namesShown, withParts });
  }

  /** @param {{pin?: string}} fields */
  async function send(fields) {
    if (sending.busy || sent) return;
    steps.go("sending");
    /** @type {Record<string, unknown>} */
    const all = { adult: true, ...fields, images: sentImages(queue.ready, !withoutParts.checked) };
    if (data.authority) all.authority = data.authority;
    if (data.case) all.case = data.case;
    try {
      const next = await sending.send(all);
      sent = true;
      location.replace(next);
    } catch (error) {
      if (!(error instanceof NotSent) || error.code !== "pin-refused") throw error;
      await steps.back();
      pin?.refuse(error.reason);
    }
  }

  byId("to-check", HTMLButtonElement).addEventListener("click", () => {
    if (!choosing.ready) return;
    queue.settle();
    summarise();
    steps.go("check");
  });
  withoutParts.addEventListener("change", summarise);
  byId("to-pin", HTMLButtonElement).addEventListener("click", () => {
    if (adding) void send({});
    else steps.go("pin-step");
  });
  for (const button of document.querySelectorAll("[data-back]")) {
    button.addEventListener("click", () => history.back());
  }
  addEventListener("beforeunload", (event) => {
    if (sent || isLeaving() || !queue.items.length) return;
    event.preventDefault();
    event.returnValue = words.text("leaving"); // makes older browsers ask
  });
  document.addEventListener(LEAVING, () => {
    queue.stop();
    queue.items = [];
  });
  byId("starting", HTMLElement).hidden = true;
  app.hidden = false;
}

/**
 * @param {string} url
 * @returns {Promise<string>} a token for the present session, perhaps of another window
 */
async function freshToken(url) {
  try {
    const response = await fetch(url, { cache: "no-store", credentials: "same-origin" });
    return (await response.json()).csrf;
  } catch {
    throw new NotSent("offline");
  }
}

start(byId("images-app", HTMLElement));
