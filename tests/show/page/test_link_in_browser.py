"""The address names what is shown: a link shows it again, and back and forward go through it."""

from typing import Any

import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage

pytestmark = pytest.mark.browser

STORY = "Then Uncle Sam sang, and Uncle Sam sang well."
_CLIPBOARD: dict[str, Any] = {"permissions": ["clipboard-read", "clipboard-write"]}
_STATE = "Object.entries(attn.state).filter(([name]) => name !== 'hover')"


def open_at(chromium: Any, written: Written, fragment: str = "") -> OpenPage:
    return OpenPage(chromium, written(STORY), fragment, **_CLIPBOARD)


def test_every_part_of_the_state_is_in_the_address(chromium: Any, written: Written) -> None:
    page = open_at(chromium, written)
    changed = "layer: 1, head: 3, query: 5, key: 2, direction: 'to', metric: 'entropy', theme: 'dark'"
    changed += (
        ", all: true, zoom: 1.5, hide: [0, 3], renormalize: true, pinned: { layer: 2, head: 7 }, words: true"
    )
    changed += ", view: 'lines', scale: 'log', overview: 'scatter', across: 'entropy', pattern: 'induction'"
    page.run(f"attn.change({{ {changed} }})")
    page.drawn()
    page.wait("location.hash.includes('zoom=1.5')")
    again = open_at(chromium, written, page.run("location.hash"))
    again.drawn()
    found, expected = dict(again.run(_STATE)), dict(page.run(_STATE))
    for name in ("zoom", "x", "y"):
        assert found.pop(name) == pytest.approx(expected.pop(name), abs=0.01)
    assert found == expected
    assert (found["hide"], found["pinned"], found["words"]) == ([0, 3], {"layer": 2, "head": 7}, True)
    assert again.run("document.documentElement.dataset.theme") == "dark"


def test_no_part_of_the_state_keeps_its_first_value_unnoticed(chromium: Any, written: Written) -> None:
    names = set(dict(open_at(chromium, written).run(_STATE)))
    assert {"kind", "layer", "head", "query", "key", "direction", "metric", "theme", "all", "zoom"} <= names


def test_back_and_forward_go_from_head_to_head(chromium: Any, written: Written) -> None:
    page = open_at(chromium, written)
    page.wait("location.hash !== ''")
    page.press("ArrowUp")
    page.press("]")
    page.wait("location.hash.includes('head=2.7')")
    page.press("[")
    page.wait("location.hash.includes('head=2.6')")
    page.press("r")
    page.wait("location.hash.includes('direction=to')")
    page.tab.go_back()
    page.wait("attn.state.direction === 'from'")
    assert page.run("attn.state.head") == 6
    page.tab.go_back()
    page.wait("attn.state.head === 7")
    page.drawn()
    assert page.text("head-title") == "Head 2.7"
    page.tab.go_forward()
    page.wait("attn.state.head === 6")


def test_back_twice_at_once_and_forward_again_lose_no_step(chromium: Any, written: Written) -> None:
    page = open_at(chromium, written)
    page.wait("location.hash !== ''")
    for head in range(3):
        page.run(f"attn.change({{ layer: 2, head: {head} }})")
        page.wait(f"location.hash.includes('head=2.{head}')")
    for way, head in (("back", 1), ("back", 0), ("forward", 1), ("back", 0), ("forward", 1), ("forward", 2)):
        page.run(f"history.{way}()")
        page.wait(f"attn.state.head === {head}")


def test_nothing_is_written_over_a_step_that_comes_soon_after_another(
    chromium: Any, written: Written
) -> None:
    page = open_at(chromium, written)
    page.wait("location.hash !== ''")
    page.run("attn.change({ layer: 2, head: 1 })")
    page.wait("location.hash.includes('head=2.1')")
    page.run("history.back()")
    page.wait("attn.state.head !== 1")
    page.run("history.replaceState(null, '', '#head=2.3')")  # as if before its event
    page.run("new Promise((done) => setTimeout(done, 600))")
    assert page.run("location.hash") == "#head=2.3"


def test_moving_from_cell_to_cell_makes_no_history(chromium: Any, written: Written) -> None:
    page = open_at(chromium, written)
    page.wait("location.hash !== ''")
    before = page.run("history.length")
    page.press("ArrowUp", "ArrowUp", "ArrowLeft")
    page.wait("location.hash.includes('query=6')")
    assert page.run("history.length") == before


def test_a_link_is_copied(chromium: Any, written: Written) -> None:
    page = open_at(chromium, written)
    page.run("attn.change({ layer: 1, head: 2 })")
    page.press("y")
    page.wait("document.getElementById('done').textContent !== ''")
    assert page.text("done") == "Link copied"
    link = page.run("navigator.clipboard.readText()")
    assert link.startswith(f"{page.address}#head=1.2&kind=self&query=")


def test_a_link_that_cannot_be_copied_is_said(chromium: Any, written: Written) -> None:
    page = open_at(chromium, written)
    page.run("void (navigator.clipboard.writeText = () => Promise.reject(new Error('no')))")
    page.press("y")
    page.wait("document.getElementById('done').textContent !== ''")
    assert page.text("done") == "Link not copied: the browser does not allow it"


@pytest.mark.parametrize(
    "fragment",
    ["#zoom=NaN&x=-1e99&y=Infinity", "#theme=red&all=perhaps", "#__proto__=1&constructor=2&hover=3"],
)
def test_a_damaged_address_shows_what_there_is(fragment: str, chromium: Any, written: Written) -> None:
    page = open_at(chromium, written, fragment)
    page.drawn()
    assert page.said == []
    assert page.text("head-title") == "Head 2.7"
    assert page.run("attn.state.hover") is None
    assert page.run("attn.state.theme") == ""
