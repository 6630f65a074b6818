// @ts-check

/* Checkboxes that show the text of a hidden field: `data-reveals` holds the field's id. */

for (const box of document.querySelectorAll("[data-reveals]")) {
  if (!(box instanceof HTMLInputElement)) continue;
  const field = document.getElementById(box.dataset.reveals ?? "");
  if (!(field instanceof HTMLInputElement)) continue;
  const show = () => {
    field.type = box.checked ? "text" : "password";
  };
  box.addEventListener("change", show);
  // Hide the text again before it is sent: browsers remember visible texts for other forms.
  field.form?.addEventListener("submit", () => {
    field.type = "password";
  });
  show();
}
