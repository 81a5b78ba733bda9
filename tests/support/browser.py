"""A real browser for the pages of `attn report`: Debian's chromium, driven by playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",  # tests run as root in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _program() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


def missing_for_browser() -> str:
    """What is missing on this machine; empty if nothing is."""
    if _program() is None:
        return "chromium"
    return next((name for name in ("playwright", "axe_playwright_python") if find_spec(name) is None), "")


@contextmanager
def browser() -> Iterator[Any]:
    """A headless browser; call only if nothing is missing."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=_program(), args=list(_FLAGS))
        try:
            yield found
        finally:
            found.close()


class OpenPage:
    """A page opened in a browser from disk, and everything that it said and asked for."""

    def __init__(
        self, browser: Any, file: Path, fragment: str = "", *, begins: str = "", **settings: Any
    ) -> None:
        """Open it; `begins`: a script that runs before those of the page."""
        self.said, self.asked = list[str](), list[str]()
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | settings)
        self.tab = context.new_page()
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}"))
        self.address = f"{file.as_uri()}{fragment}"
        if begins:
            self.tab.add_init_script(begins)
        self.tab.goto(self.address)
        if settings.get("java_script_enabled", True):
            self.wait("document.getElementById('readout').textContent !== ''")

    def text(self, element: str) -> str:
        """The text of the element with this id."""
        return str(self.tab.inner_text(f"#{element}"))

    def run(self, expression: str, *arguments: object) -> Any:
        """The value of an expression in the page."""
        return self.tab.evaluate(expression, *arguments)

    def wait(self, condition: str) -> None:
        """Wait until an expression is true; playwright's own way evaluates text, which the policy forbids.

        What is not true after minutes never will be: the test fails instead of holding up all others.
        """
        look = f"const look = () => ({condition}) ? done() : setTimeout(look, 5);"
        end = f"setTimeout(() => fail(new Error('it does not come')), {_FOR_EVER});"
        self.run(f"new Promise((done, fail) => {{ {look} look(); {end} }})")

    def press(self, *keys: str) -> None:
        """Press keys, and wait until the page has drawn."""
        for key in keys:
            self.tab.keyboard.press(key)
        self.drawn()

    def drawn(self) -> None:
        """Wait until the page has drawn what has changed, its head inflated; a draw may ask for another."""
        self.run(_DRAWN)

    def head(self, layer: int, head: int, kind: int = 0) -> list[list[float | None]]:
        """The weights that the page has of a head; None where they are masked."""
        found: list[list[float | None]] = self.run(_HEAD, {"kind": kind, "layer": layer, "head": head})
        return found


_FOR_EVER = 300_000  # milliseconds

_DRAWN = """
(async () => {
  await attn.headAt(attn.state);
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
})()
"""

_HEAD = """
async (place) => {
  const head = await attn.headAt(place);
  const row = (at) => Array.from({ length: head.columns }, (_, key) =>
    head.seen[at * head.columns + key] ? head.weight(at, key) : null);
  return Array.from({ length: head.rows }, (_, at) => row(at));
}
"""
