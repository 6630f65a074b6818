/* What is wrong with the layout of a page as it stands; a line for each thing. Run in the page. */
() => {
  const said = [];
  const shown = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return element.checkVisibility({ visibilityProperty: true }) && width > 1 && height > 1;
  };
  const called = (element) => {
    const text = (element.textContent || element.id || element.name).trim().slice(0, 30);
    return `${element.tagName.toLowerCase()}.${element.className} “${text}”`;
  };
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = all("body *").filter((one) => one.getBoundingClientRect().right > innerWidth + 1);
    said.push(`wider than the screen: ${wide.slice(0, 3).map(called).join(", ")}`);
  }

  // What leads on is a thumb's width high; all else has the 24 px of WCAG 2.2, 2.5.8, which leaves
  // out links within a sentence.
  const large = ".button, .exit, .brand, .answer, .choice, summary, nav a, .field input, select";
  for (const one of all("a, button, input, select, summary, label.choice, label.button")) {
    const { width, height } = one.getBoundingClientRect();
    const least = one.matches(large) ? 44 : 24;
    const inText = getComputedStyle(one).display === "inline";
    const inLabel = one.matches("input") && one.closest("label.choice");
    if (inText || inLabel || one.matches(".skip")) continue;
    if (height < least || width < Math.min(least, 24)) {
      said.push(`too small, ${Math.round(width)}×${Math.round(height)}: ${called(one)}`);
    }
  }

  // Links are underlined, unless they look like buttons; marks stand beside colours.
  for (const one of all("main a, footer a")) {
    if (one.matches(".button") || one.querySelector(".answer-name")) continue;
    if (!getComputedStyle(one).textDecorationLine.includes("underline")) {
      said.push(`a link told by its colour alone: ${called(one)}`);
    }
  }
  const mark = (element) => getComputedStyle(element, "::before").content.replaceAll(/["\s/]/g, "");
  const marked = ".error, .file[data-state=done] .file-state, .file[data-state=failed] .file-state";
  const headed = ":is(.notice.care, .notice.done) > :first-child";
  for (const one of all(`${marked}, ${headed}, .steps .past`)) {
    if (!/[▲✓]/.test(mark(one))) said.push(`told by its colour alone: ${called(one)}`);
  }
  for (const one of all(".steps [aria-current], .languages [aria-current]")) {
    if (Number(getComputedStyle(one).fontWeight) < 600) said.push(`not marked: ${called(one)}`);
  }
  return said;
}
