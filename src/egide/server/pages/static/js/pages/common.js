// @ts-check
/** Small additions to every page, which also works without them. */

document.documentElement.classList.add("scripted");

// Screen readers read a form's mistakes first.
const first = document.querySelector("[data-focus]");
if (first instanceof HTMLElement) first.focus();

for (const button of document.querySelectorAll("[data-print]")) {
  button.addEventListener("click", () => print());
}
