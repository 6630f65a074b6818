// @ts-check
/** What small things every page does with a script, and does without as well. */

document.documentElement.classList.add("scripted");

// What is wrong with a form is read out first.
const first = document.querySelector("[data-focus]");
if (first instanceof HTMLElement) first.focus();

for (const button of document.querySelectorAll("[data-print]")) {
  button.addEventListener("click", () => print());
}
