"""Everything on the page is reached and used by keyboard, and what is chosen is read aloud."""

from typing import Any

import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage

pytestmark = pytest.mark.browser

STORY = "Then Uncle Sam sang, and Uncle Sam sang well."
_CONTROLS = "button, select, summary, [tabindex='0'], a[href], input"
_SEEN = (
    "[...document.querySelectorAll(controls)]"
    ".filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility())"
)


@pytest.fixture
def page(chromium: Any, written: Written) -> OpenPage:
    return OpenPage(chromium, written(STORY), "#head=2.7&query=8&key=4")


def tab_to(page: OpenPage, selector: str) -> None:
    """Press Tab until the element, or one inside it, has the focus."""
    for _ in range(40):
        if page.run("(name) => document.activeElement.closest(name) !== null", selector):
            return
        page.tab.keyboard.press("Tab")
    pytest.fail(f"Tab does not reach {selector}")


def test_the_tab_key_reaches_every_control(page: OpenPage) -> None:
    tab_to(page, "#save")
    page.press("Enter")
    page.run(f"globalThis.wanted = ((controls) => {_SEEN})({_CONTROLS!r})")
    assert page.run("wanted.length") >= 16
    page.run("document.activeElement.blur(); globalThis.reached = new Set()")
    for _ in range(page.run("wanted.length") + 2):
        page.tab.keyboard.press("Tab")
        page.run("reached.add(document.activeElement)")
    missed = page.run("wanted.filter((one) => !reached.has(one)).map((one) => one.outerHTML)")
    assert missed == []


def test_what_has_the_focus_is_outlined(page: OpenPage) -> None:
    for _ in range(18):
        page.tab.keyboard.press("Tab")
        outline = page.run("getComputedStyle(document.activeElement).outline")
        assert outline.endswith(("solid 3px", "3px")), page.run("document.activeElement.outerHTML")


def test_arrow_keys_move_in_the_map_and_the_focus_with_them(page: OpenPage) -> None:
    tab_to(page, "#map-grid")
    page.press("ArrowUp", "ArrowLeft")
    assert page.text("head-title") == "Head 1.6"
    label = page.run("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("Head 1.6, ")
    assert page.run("document.querySelectorAll('#map-grid [tabindex=\"0\"]').length") == 1
    page.press("m")
    assert page.run("document.activeElement.getAttribute('aria-selected')") == "true"


def test_arrow_keys_move_in_the_text_and_the_focus_with_them(page: OpenPage) -> None:
    tab_to(page, "#text")
    page.press("ArrowLeft")
    assert page.text("row-title") == "7 Uncle looks at"
    assert page.run("document.activeElement.textContent").strip() == "Uncle"
    page.press("ArrowRight", "ArrowRight")
    assert page.text("row-title") == "9 sang looks at"
    assert page.run("document.querySelectorAll('#text [tabindex=\"0\"]').length") == 1


def test_arrow_keys_move_in_the_list_and_the_focus_with_them(page: OpenPage) -> None:
    tab_to(page, "#row-list")
    page.press("ArrowDown")
    assert page.text("readout").startswith("8 Sam → 0 <s>: 0.0698")
    assert page.run("document.activeElement.textContent") == "<s>"
    page.press("ArrowUp")
    assert page.text("readout").startswith("8 Sam → 4 sang: ")


def test_right_to_left_text_is_walked_as_it_is_written(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written("שלום עולם טוב", "-m", "random"), "#head=0.0&query=0&key=0")
    tab_to(page, "#text")
    page.press("ArrowLeft")
    assert page.text("row-title").startswith("1 עולם")


def test_the_matrix_is_walked_cell_by_cell(page: OpenPage) -> None:
    tab_to(page, "#matrix-grid")
    page.press("ArrowLeft")
    cell = page.run(
        "(cell) => ['aria-label', 'aria-colindex'].map((name) => document.activeElement.getAttribute(name))",
        "",
    )
    assert cell[0].startswith("row 8 Sam, column 3 Sam: ")
    assert cell[1] == "4"
    assert (
        page.run("document.getElementById('matrix-cell').parentElement.getAttribute('aria-rowindex')") == "9"
    )
    grid = page.run("document.getElementById('matrix-grid').getAttribute('aria-label')")
    assert grid == "Weights of head 2.7: 12 queries by 12 keys"


def test_what_is_chosen_is_read_aloud(page: OpenPage) -> None:
    assert page.run("document.getElementById('live').textContent") == ""
    page.press("ArrowUp")
    assert (
        page.run("document.getElementById('live').textContent") == "row 7 Uncle, column 4 sang: 0.00006098154"
    )
    page.press("ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp")
    assert page.run("document.getElementById('live').textContent") == "row 3 Sam, column 4 sang: masked"
    page.press("[")
    assert (
        page.run("document.getElementById('live').textContent") == "Head 2.6"
    )  # the cell is masked there too
    assert page.run("document.getElementById('live').getAttribute('aria-live')") == "polite"


def test_selectors_and_buttons_are_used_by_keyboard(page: OpenPage) -> None:
    tab_to(page, "#metric")
    page.press("ArrowDown")
    assert page.run("attn.state.metric") != "induction"
    tab_to(page, "#next-head")
    page.press("Enter")
    tab_to(page, "[data-set='direction'][data-to='to']")
    page.press("Space")
    assert page.run("attn.state.direction") == "to"
    page.press("?")
    assert page.run("document.activeElement.id") == "close-keys"
    listed = page.run("document.querySelectorAll('#key-list dt').length")
    assert listed == page.run("document.querySelectorAll('#key-list dd').length") >= 11
    page.press("Escape")
    assert not page.tab.is_visible("#keys")


def test_the_row_is_a_table_with_headings(page: OpenPage) -> None:
    table = "document.querySelector('#row table:has(#row-list)')"
    seen = f"[...{table}.querySelectorAll('thead th')].filter((one) => one.checkVisibility())"
    names = page.run(f"{seen}.map((one) => one.textContent)")
    assert names == ["position", "token", "weight"]
    first = page.run("document.querySelector('#row-list tr').innerText").split()
    assert first == ["4", "sang", "0.92944"]
    assert page.run(f"{table}.getAttribute('aria-labelledby')") == "row-title"
    assert page.text("row-masked") == "3 masked"
    assert page.run("document.querySelector('#row-list [aria-current]').textContent") == "sang"
