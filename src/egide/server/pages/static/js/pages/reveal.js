// @ts-check

/* Boxes that show what is typed in a field: `data-reveals` holds the field's id. */

for (const box of document.querySelectorAll("[data-reveals]")) {
  if (!(box instanceof HTMLInputElement)) continue;
  const field = document.getElementById(box.dataset.reveals ?? "");
  if (!(field instanceof HTMLInputElement)) continue;
  const show = () => {
    field.type = box.checked ? "text" : "password";
  };
  box.addEventListener("change", show);
  // What was shown is hidden again before it is sent: browsers remember texts for other forms.
  field.form?.addEventListener("submit", () => {
    field.type = "password";
  });
  show();
}
