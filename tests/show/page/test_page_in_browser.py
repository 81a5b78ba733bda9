"""The page in a browser: nothing is asked for, nothing is complained of, tokens are text, keys move."""

from typing import Any

import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage
from tests.support.hostile import HOSTILE

pytestmark = pytest.mark.browser

ATTACKS = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)> & <b>bold</b>",
    "<!-- <script> ]]> {{ 7 * 7 }} {% raw %} ${alert(1)}",
    "javascript:alert(1) \u202eevil\u202c \x1b[31m \u2028 \u2029",
    "a" + "\u0301" * 500 + " cat",
)


def test_nothing_is_asked_for_but_the_page_itself(story: OpenPage) -> None:
    story.run("attn.change({ metric: 'matrices' })")
    story.wait("document.getElementById('map').dataset.complete")
    assert story.asked == [story.address]
    assert story.said == []


def test_the_policy_allows_only_the_script_and_the_style_of_the_page(story: OpenPage) -> None:
    story.run(
        "(() => { const made = document.createElement('script'); made.textContent = 'bad = 1';"
        " document.body.append(made); })()"
    )
    assert story.run("'bad' in globalThis") is False
    assert any("Content Security Policy" in said for said in story.said)
    story.said.clear()
    policy = story.run("document.querySelector('meta[http-equiv]').content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "text",
    [*ATTACKS, " ".join(HOSTILE), pytest.param("a" + "\u0301" * 10_000 + " cat", marks=pytest.mark.slow)],
    ids=range(len(ATTACKS) + 2),
)
def test_tokens_from_outside_do_nothing(text: str, chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(text, "-m", "random"))
    assert page.said == []
    assert page.asked == [page.address]
    assert page.run("document.querySelectorAll('#text img, #text script, #text b, #row img').length") == 0
    assert page.run("document.scripts.length") == 4


def test_a_token_is_shown_as_it_is_written(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written("<b>the</b> & cat", "-m", "random"))
    assert page.text("text") == "<b>the</b> & cat"


def test_the_page_begins_with_the_head_that_is_known_for_the_text(story: OpenPage) -> None:
    assert story.text("head-title") == "Head 2.7"
    assert story.text("head-pattern") == "pattern induction 0.78 (random tokens, 4,080 rows)"


def test_keys_choose_the_cell_the_head_and_the_layer(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written("the cat sat", "-m", "random"), "#head=0.1&query=2&key=0")
    page.press("ArrowUp", "ArrowRight")
    assert page.text("readout").startswith("1 cat → 1 cat: ")
    page.press("]")
    assert page.text("head-title") == "Head 0.2"
    page.press("[", "[", "[", "[")
    assert page.text("head-title") == "Head 0.0"
    page.press("r")
    assert page.text("row-title") == "1 cat is looked at by"
    page.press("?")
    assert page.tab.is_visible("#keys")


def test_the_address_shows_the_same_view_again(chromium: Any, written: Written) -> None:
    file = written("Then Uncle Sam sang, and Uncle Sam sang well.")
    page = OpenPage(chromium, file)
    page.run("attn.change({ layer: 1, head: 3, query: 5, key: 2, direction: 'to', metric: 'entropy' })")
    page.drawn()
    page.wait("location.hash.includes('head=1.3')")
    again = OpenPage(chromium, file, page.run("location.hash"))
    for element in ("head-title", "readout", "row-title", "map-says"):
        assert again.text(element) == page.text(element)


@pytest.mark.parametrize(
    "fragment", ["#head=99.99&query=-5&key=1e9", "#kind=cross&metric=no", "#%", "#head=x"]
)
def test_a_damaged_address_shows_a_head_that_there_is(fragment: str, chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written("the cat sat", "-m", "random"), fragment)
    assert page.said == []
    assert page.text("head-title").startswith("Head 0.")


def test_masked_cells_are_told_apart_from_zero(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written("the cat sat", "-m", "random", "--causal"), "#head=0.0&query=0&key=2")
    assert page.text("readout") == "0 the → 2 sat: masked"


def test_without_scripts_the_page_has_one_head_as_a_table(chromium: Any, written: Written) -> None:
    file = written("Then Uncle Sam sang, and Uncle Sam sang well.")
    page = OpenPage(chromium, file, java_script_enabled=False)
    table = page.tab.inner_text("table.weights")
    assert table.startswith("weights 2.7")
    assert "7 Uncle\t0.12\t0.00\t0.00\t0.88" in table
    assert page.tab.locator("td.s18").count() > 0


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_no_wider_than_the_window(width: int, chromium: Any, written: Written) -> None:
    page = OpenPage(
        chromium, written("the cat sat", "-m", "random"), viewport={"width": width, "height": 800}
    )
    assert page.run("document.documentElement.scrollWidth") <= width
