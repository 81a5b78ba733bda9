"""Whole rows of chosen queries on the page of a long text equal those of --json to the last digit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage
from tests.support.sinks import Sinks
from tests.support.worlds import attn

pytestmark = pytest.mark.browser

TEXT = " ".join(f"w{number}" for number in range(1_200))
LINE = (TEXT, "-m", "random", "--causal")


@pytest.fixture(scope="module")
def page(chromium: Any, written: Written) -> OpenPage:
    page = OpenPage(chromium, written(*LINE, "--rows", "70,1150", "--heads", "0.2"))
    page.wait("document.getElementById('whole-list').children.length")
    return page


CELLS = """
[...document.querySelectorAll("#whole-list tr")].map((row) => [...row.children].map((one) => one.textContent))
"""


def listed(page: OpenPage) -> list[list[str]]:
    lines: list[list[str]] = page.run(CELLS)
    return lines


def row_of(query: int) -> Any:
    document = attn(
        "inspect", *LINE, "--heads", "0.2", "--rows", f"{query}", "-s", "weights", "--json"
    ).document
    return np.array(document["attention"][0]["steps"]["weights"][0])


def show(page: OpenPage, expression: str) -> None:
    page.run(expression)
    page.drawn()
    page.run("new Promise((done) => setTimeout(done, 50))")  # the row is inflated after the draw


def test_a_whole_row_has_the_largest_keys_first(page: OpenPage) -> None:
    assert page.run("attn.about.kinds[0].cells[1]") > 1  # the matrix is pooled
    show(page, "attn.change({ query: Math.floor(1150 / attn.about.kinds[0].cells[0]) })")
    weights, lines = row_of(1150), listed(page)
    assert len(lines) == 40
    for position, label, weight in lines:
        assert label == f"w{position}"
        assert float(weight) == pytest.approx(weights[int(position)], rel=1e-6)
    assert [int(line[0]) for line in lines[:5]] == list(np.argsort(-weights, kind="stable")[:5])


def test_every_key_is_kept_and_masked_ones_are_left_out(page: OpenPage) -> None:
    page.tab.select_option("#whole-row", "70")
    show(page, "attn.change({ all: true })")
    found = {int(position): float(weight) for position, _, weight in listed(page)}
    weights = row_of(70)
    assert sorted(found) == list(range(71))
    assert all(found[key] == pytest.approx(weights[key], rel=1e-6) for key in found)
    assert page.run("attn.state.query") == 70 // page.run("attn.about.kinds[0].cells[0]")
    show(page, "attn.change({ all: false, whole: 1150, query: 0 })")


def test_other_heads_have_no_whole_row(page: OpenPage) -> None:
    show(page, "attn.change({ head: 1 })")
    assert page.run("document.getElementById('whole').hidden") is True
    show(page, "attn.change({ head: 2 })")
    assert page.run("document.getElementById('whole').hidden") is False


def test_a_learned_sink_has_its_share_of_a_whole_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chromium: Any
) -> None:
    source = Sinks(np.array([1.0, -2.0]))
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: source)
    file = tmp_path / "sinks.html"
    assert attn("report", "a b c", "-m", "random", "--rows", "2", "--heads", "0.1", "-o", file).status == 0
    page = OpenPage(chromium, file)
    page.wait("document.getElementById('whole-list').children.length")
    lines = listed(page)
    assert lines[0][1] == "learned sink"
    assert sum(float(line[2]) for line in lines) == pytest.approx(1, abs=1e-4)


def test_a_page_with_whole_rows_breaks_no_rule_of_access(page: OpenPage) -> None:
    from axe_playwright_python.sync_playwright import Axe

    assert Axe().run(page.tab).response["violations"] == []
