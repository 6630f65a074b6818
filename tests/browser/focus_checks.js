/* What can have the focus and does not show it. Run in the page, after a key was pressed there. */
() => {
  const said = [];
  const able = "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']";
  for (const one of document.querySelectorAll(able)) {
    if (!one.checkVisibility({ visibilityProperty: true }) || one.disabled) continue;
    one.focus({ preventScroll: true, focusVisible: true });
    if (document.activeElement !== one) continue;
    // A field for files is drawn as its label.
    const drawn = one.matches("[type=file]") ? one.labels[0] : one;
    const { outlineStyle, outlineWidth } = getComputedStyle(drawn);
    if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) {
      said.push(`its focus is not seen: ${one.tagName} ${one.id} ${one.className}`);
    }
  }
  return said;
}
