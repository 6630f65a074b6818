// @ts-check

import { byId } from "./dom.js";

/**
 * The steps of a form on one page, also in the browser's history: Back leads to the previous step,
 * and nothing is lost.
 */
export class Steps {
  /**
   * @param {string[]} names in order; each is the id of a section
   * @param {(to: string, from: string) => boolean} mayShow called before Back or Forward is followed
   */
  constructor(names, mayShow) {
    this._names = names;
    this.current = names[0];
    history.replaceState({ step: this.current }, "");
    addEventListener("popstate", (event) => {
      const asked = event.state?.step;
      const to = names.includes(asked) ? asked : names[0];
      if (mayShow(to, this.current)) this._show(to);
      else history.pushState({ step: this.current }, "");
    });
    this._mark();
  }

  /** @param {string} name of a step after this one */
  go(name) {
    history.pushState({ step: name }, "");
    this._show(name);
  }

  /** Go to the previous step, as with the browser's button; resolves once it is shown. */
  back() {
    return new Promise((resolve) => {
      addEventListener("popstate", resolve, { once: true });
      history.back();
    });
  }

  /** @param {string} name */
  _show(name) {
    this.current = name;
    for (const step of this._names) byId(step, HTMLElement).hidden = step !== name;
    byId("opening", HTMLElement).hidden = name !== this._names[0];
    this._mark();
    byId(`${name}-heading`, HTMLElement).focus({ preventScroll: true });
    scrollTo({ top: 0, behavior: "instant" });
  }

  _mark() {
    const current = byId(this.current, HTMLElement).dataset.step ?? "";
    let past = true;
    for (const mark of document.querySelectorAll("#steps > li")) {
      if (!(mark instanceof HTMLElement)) continue;
      const isCurrent = mark.dataset.step === current;
      if (isCurrent) past = false;
      mark.classList.toggle("past", past);
      if (isCurrent) mark.setAttribute("aria-current", "step");
      else mark.removeAttribute("aria-current");
      const said = mark.querySelector(".unseen");
      if (said instanceof HTMLElement) said.hidden = !past;
    }
  }
}
