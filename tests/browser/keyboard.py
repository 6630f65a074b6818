"""Going through pages with a keyboard only, while each stop of the focus is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Page

_MAX_STOPS = 80

# What has the focus, and what shows it: of a hidden input it is the label beside it.
_STOP = """(before) => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const shown = at.matches("input.unseen") ? at.labels[0] : at;
  const style = getComputedStyle(shown);
  const box = shown.getBoundingClientRect();
  const middle = [box.left + box.width / 2, box.top + Math.min(box.height, innerHeight) / 2];
  const top = document.elementFromPoint(...middle);
  const last = window.lastStop;
  const follows = !last?.isConnected || last === at
    || Boolean(last.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING);
  window.lastStop = at;
  return {
    name: at.id || at.className || at.textContent.trim().slice(0, 40) || at.tagName,
    ringPx: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    ringColour: style.outlineColor,
    seen: Boolean(top) && (shown.contains(top) || top.contains(shown)),
    inside: box.left >= 0 && box.right <= document.documentElement.clientWidth + 1
      && box.bottom > 0 && box.top < innerHeight,
    follows,
  };
}"""


class Keyboard:
    """A person who has no mouse.

    Attributes:
        dialogs: that came up; there should be none.
        complaints: what was wrong with a stop: a focus that cannot be seen, a jump backwards.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dialogs: list[str] = []
        self.complaints: list[str] = []

        def note(dialog: Dialog) -> None:
            self.dialogs.append(dialog.message)
            dialog.accept()

        page.on("dialog", note)

    def stops_of_page(self, count: int) -> list[str]:
        """Press Tab so many times; return where that led."""
        return [self._tab()["name"] for _ in range(count)]

    def tab_to(self, selector: str) -> None:
        """Press Tab until the focus is there."""
        visited = []
        for _ in range(_MAX_STOPS):
            if self._has_focus(selector):
                return
            visited.append(self._tab()["name"])
        raise AssertionError(f"{selector} is not reached: {visited}")

    def back_to(self, selector: str) -> None:
        """Press Shift and Tab until the focus is there; stops may not hide below the bar."""
        for _ in range(_MAX_STOPS):
            if self._has_focus(selector):
                return
            self.page.keyboard.press("Shift+Tab")
            self.page.evaluate("window.lastStop = null")
            self._look()
        raise AssertionError(f"{selector} is not reached backwards")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def follow(self, selector: str) -> None:
        """Go to a link or a button, press Enter, and wait for the page that it leads to."""
        self.tab_to(selector)
        with self.page.expect_navigation():
            self.press("Enter")

    def _has_focus(self, selector: str) -> bool:
        return bool(
            self.page.evaluate(
                "(selector) => Boolean(document.activeElement?.matches(selector))", selector
            )
        )

    def _tab(self) -> dict[str, Any]:
        self.press("Tab")
        return self._look()

    def _look(self) -> dict[str, Any]:
        stop: dict[str, Any] | None = self.page.evaluate(_STOP, None)
        where = self.page.url.split("/", 3)[-1]
        assert stop is not None, f"the focus left the page {where}"
        wrong = [
            *(["no ring"] if stop["ringPx"] < 2 or stop["ringColour"].endswith(", 0)") else []),
            *([] if stop["seen"] else ["covered"]),
            *([] if stop["inside"] else ["out of sight"]),
            *([] if stop["follows"] else ["a jump backwards"]),
        ]
        if wrong:
            self.complaints.append(f"{where}: {stop['name']}: {', '.join(wrong)}")
        return stop
