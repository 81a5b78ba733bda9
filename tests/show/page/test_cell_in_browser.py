"""The chosen cell on the page: every number is that of `attn explain --json`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage
from tests.support.families import FAMILIES
from tests.support.sinks import Sinks
from tests.support.worlds import attn

pytestmark = pytest.mark.browser

TEXT = "the cat sat on the mat and the cat sat"
OF_A_WEIGHT = ("scale", "score", "softcapped", "bias", "logit", "largest", "total", "exponential", "weight")
ROUNDING = 4e-7  # relative: sums of float32 numbers in another order
SMALLEST = 1e-37  # below it float32 has fewer digits


def explained(line: tuple[str | Path, ...], head: str, query: int, key: int) -> dict[str, Any]:
    chosen = ("--heads", head, "--query", f"{query}", "--key", f"{key}", "--top", "99")
    found: dict[str, Any] = attn("explain", *line, *chosen, "--json").document["explain"]
    return found


def cell(page: OpenPage, head: str, query: int, key: int) -> dict[str, Any]:
    layer, number = map(int, head.split("."))
    place = {"kind": 0, "layer": layer, "head": number, "query": query, "key": key}
    found: dict[str, Any] = page.run("(place) => attn.cellAt(place)", place)
    return found


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The cell has the numbers of the explanation; its sums are as near as float32 terms allow."""
    products = [one["product"] for one in expected["features"]]
    rounding = max(np.abs(products).sum() * ROUNDING, SMALLEST)
    row = {one["key"]: one for one in expected["row"]}
    theirs = row.get(expected["key"], {"exponential": 0}) | expected
    assert found["masked"] == expected["masked"]
    assert [one["product"] for one in found["features"]] == pytest.approx(products, rel=ROUNDING)
    assert found["dot"] == pytest.approx(expected["dot"], abs=rounding)
    for name in OF_A_WEIGHT:
        if found["masked"] and name == "bias":
            assert found[name] is None  # the page has none of masked cells
        elif theirs[name] is None:
            assert found[name] is None
        else:
            assert found[name] == pytest.approx(theirs[name], rel=ROUNDING, abs=rounding * found["masked"])


@pytest.mark.parametrize("family", ["roberta", "mpnet", "gemma2", "bloom", "mistral"])
def test_a_cell_is_explained_as_by_explain(
    family: str, tmp_path: Path, chromium: Any, written: Written
) -> None:
    FAMILIES[family].save(tmp_path / family)
    line = (TEXT, "-m", tmp_path / family)
    page = OpenPage(chromium, written(*line, "--heads", "1.2,0.1"))
    for head, query, key in (("1.2", 5, 2), ("0.1", 7, 7), ("1.2", 2, 6)):
        assert_same(cell(page, head, query, key), explained(line, head, query, key))


def test_a_learned_sink_takes_part_in_the_softmax(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chromium: Any
) -> None:
    for index, sinks in enumerate((np.array([1.0, -2.0]), np.array([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]]))):
        source = Sinks(sinks)
        monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, source=source, **__: source)
        file, line = tmp_path / f"{index}.html", ("a b c", "-m", "random")
        assert attn("report", *line, "--heads", "0.1", "-o", file).status == 0
        found, expected = cell(OpenPage(chromium, file), "0.1", 2, 1), explained(line, "0.1", 2, 1)
        assert_same(found, expected)
        assert found["sink"] == pytest.approx(expected["sink"], rel=ROUNDING)


def test_the_page_shows_the_steps_of_the_chosen_cell(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(TEXT, "-m", "random", "--causal", "--heads", "0.1"), "#query=5&key=2")
    page.drawn()
    cells = page.tab.locator("#cell-steps tr:visible").all_inner_texts()
    names = [one.split("\t")[0] for one in cells]
    assert names == [
        "q · k",
        "× scale",
        "score",
        "mask",
        "logit",
        "largest of the row",
        "exp(logit − largest)",
        "sum of the row",
        "weight = exp ÷ sum",
    ]
    weight = explained((TEXT, "-m", "random", "--causal"), "0.1", 5, 2)["weight"]
    assert cells[-1].split("\t")[1] == f"{weight}"
    assert page.text("readout") == f"5 mat → 2 sat: {weight}".replace(
        "mat", page.run("attn.about.texts[0].labels[5]")
    )
    page.run("attn.change({ query: 2, key: 5 })")
    page.drawn()
    assert "mask\tmasked" in page.tab.locator("#cell-steps tr:visible").all_inner_texts()


def test_the_head_that_the_page_begins_with_has_its_steps(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(TEXT))
    layer, head = page.run("[attn.state.layer, attn.state.head]")
    assert page.tab.is_visible("#cell")
    assert_same(cell(page, f"{layer}.{head}", 8, 3), explained((TEXT,), f"{layer}.{head}", 8, 3))
    assert not page.tab.is_visible("#no-steps")
    page.press("[")
    assert not page.tab.is_visible("#cell")
    said = page.text("no-steps")
    assert said.startswith(
        f"The page has the steps of a weight only for head {layer}.{head}; --heads of attn report"
    )
    command = f"attn explain --heads {layer}.{head - 1} --query "
    assert command in said
    assert said.endswith(f"'{TEXT}'")


def test_every_product_of_a_cell_is_whole(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(TEXT))
    page.tab.click("#cell-features summary")
    size = page.run("attn.about.exact[0].steps.queries[2]")
    assert page.tab.locator("#cell-products tr").count() == size
    cells = "[...document.querySelectorAll('#cell-products td')]"
    assert page.run(f"{cells}.filter((one) => one.scrollWidth > one.clientWidth).length") == 0


def test_a_long_text_keeps_no_steps_unless_they_are_chosen(written: Written) -> None:
    text = "the cat sat on the mat " * 12
    assert '"exact":[]' in written(text).read_text("utf-8")


def test_the_page_has_the_command_that_shows_the_chosen_head(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written("it's a cat", "-m", "random"), "#head=0.1")
    assert page.text("command") == """attn inspect --heads 0.1 'it'"'"'s a cat' -m random"""
    page.press("[")
    assert page.text("command").startswith("attn inspect --heads 0.0 ")
