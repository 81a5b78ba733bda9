"""What a notebook shows of a head: the frame draws, asks for nothing, and reaches nothing around it."""

from pathlib import Path
from typing import Any

import pytest

from attn_cli.api.model import open_model

pytestmark = pytest.mark.browser

TEXT = 'Then Uncle Sam sang, and </iframe><script>parent.hit = 1</script> " onload=alert(1) &quot;'
DRAWN = """
new Promise((done) => {
  const look = () => document.getElementById("readout")?.textContent ? done() : setTimeout(look, 5);
  look();
})
"""


def notebook(chromium: Any, tmp_path: Path, text: str) -> tuple[Any, Any, list[str], list[str]]:
    """A page around the frame, the frame, and what both said and asked for."""
    file = tmp_path / "notebook.html"
    file.write_text(f"<!doctype html><meta charset=utf-8>{open_model().read(text).head(2, 6)._repr_html_()}")
    tab = chromium.new_context(viewport={"width": 1000, "height": 900}).new_page()
    said, asked = list[str](), list[str]()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(file.as_uri())
    (frame,) = tab.main_frame.child_frames
    frame.evaluate(DRAWN)
    return tab, frame, said, [url for url in asked if url not in {file.as_uri(), "about:srcdoc"}]


def test_the_frame_draws_and_asks_for_nothing(chromium: Any, tmp_path: Path) -> None:
    tab, frame, said, asked = notebook(chromium, tmp_path, "Then Uncle Sam sang, and Uncle Sam sang well.")
    assert frame.inner_text("#head-title") == "Head 2.6"
    before = frame.inner_text("#readout")
    frame.press("#matrix-cell", "ArrowLeft")
    frame.evaluate("new Promise((done) => setTimeout(done, 600))")  # the address would be written by now
    assert frame.inner_text("#readout") != before
    assert (said, asked) == ([], [])
    tab.context.close()


def test_hostile_text_stays_in_the_frame(chromium: Any, tmp_path: Path) -> None:
    tab, frame, said, asked = notebook(chromium, tmp_path, TEXT)
    assert tab.evaluate("window.hit") is None
    assert tab.evaluate("document.querySelectorAll('script').length") == 0
    assert frame.inner_text("#head-title") == "Head 2.6"
    assert (said, asked) == ([], [])
    tab.context.close()


def test_a_table_stands_beside_the_frame(chromium: Any, tmp_path: Path) -> None:
    file = tmp_path / "static.html"
    file.write_text(open_model().read("the cat sat").head(0, 0)._repr_html_())
    tab = chromium.new_context(java_script_enabled=False).new_page()
    tab.goto(file.as_uri())
    tab.click("summary")
    assert tab.inner_text("details caption") == "storybook · weights 0.0"
    tab.context.close()
