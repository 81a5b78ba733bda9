"""Views of the page in a browser: two heads, hidden keys, scales, words, lines, heads by their numbers."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage
from tests.support.families import TRANSLATORS
from tests.support.worlds import attn

pytestmark = pytest.mark.browser

TEXT = "Then Uncle Sam sang, unbelievably, and Uncle Sam sang well."
LONGER = "Then Uncle Sam sang unbelievably well, and the cat sat on the mat. "
ULP = 2e-6  # of sums of float32 below 1

Matrix = npt.NDArray[np.float64]

_SHOWN = """
attn.headsShown().map((head) => ({
  weights: Array.from({ length: head.rows }, (_, row) => Array.from({ length: head.columns }, (_, column) =>
    head.seen[row * head.columns + column] ? head.weight(row, column) : null)),
  errors: Array.from({ length: head.rows }, (_, row) =>
    Array.from({ length: head.columns }, (_, column) => head.error(row, column))),
  keys: head.keys.items.map((item) => item.label),
  queries: head.queries.items.map((item) => item.label),
}))
"""


def shown(page: OpenPage, number: int = 0) -> tuple[Matrix, Matrix, dict[str, Any]]:
    """The weights of a head as they are shown, NaN where none is seen; the error of each; and labels."""
    head = page.run(_SHOWN)[number]
    return np.array(head["weights"], np.float64), np.array(head["errors"]), head


def computed(*line: str | Path) -> tuple[Matrix, dict[str, Any]]:
    """The weights of one head by `attn inspect`, NaN where they are masked, and its object."""
    document = attn("inspect", *line, "-s", "weights,mask", "--json").document
    (head,) = document["attention"]
    weights = np.array(head["steps"]["weights"], np.float64)
    return np.where(np.array(head["steps"]["mask"], bool), weights, np.nan), document


@pytest.fixture
def page(chromium: Any, written: Written) -> OpenPage:
    return OpenPage(chromium, written(TEXT), "#head=2.7&query=15&key=4")


def agree(found: Matrix, errors: Matrix, weights: Matrix) -> None:
    """Every weight is that of the command, within the error that the page states for it."""
    assert np.array_equal(np.isnan(found), np.isnan(weights))
    assert np.nanmax(np.abs(found - weights) - errors) <= ULP


def test_two_heads_stand_side_by_side_with_their_difference(page: OpenPage) -> None:
    page.press("c", "{")
    assert page.run("attn.headsShown().map((head) => head.name)") == ["1.7", "2.7", "1.7 − 2.7"]
    (one, _, _), (other, _, _), (difference, errors, _) = (shown(page, number) for number in range(3))
    assert np.allclose(difference, one - other, atol=1e-6, equal_nan=True)
    agree(difference, errors, computed(TEXT, "--heads", "1.7")[0] - computed(TEXT, "--heads", "2.7")[0])
    expected = f"1.7 {one[15, 4]:.3f} · 2.7 {other[15, 4]:.5f} · 1.7 − 2.7 −"  # of 2.7 every digit is kept
    assert expected in page.text("readout").replace("<0.002", "0.000")
    assert page.text("row-names").split() == ["position", "token", "1.7", "2.7", "1.7", "−", "2.7"]
    largest = int(np.nanargmax(np.abs(difference[15])))
    assert page.run("document.querySelector('#row-list td').textContent") == f"{largest}"


def test_the_largest_difference_is_found_and_small_ones_are_plain(page: OpenPage) -> None:
    assert not page.tab.is_visible("#largest")
    before = page.tab.locator("#one-head").bounding_box()["width"]
    page.press("c", "{", "{")
    assert page.tab.locator("#one-head").bounding_box()["width"] > before
    page.tab.click("#largest")
    page.drawn()
    difference = np.nan_to_num(shown(page, 2)[0])
    found = page.run("[attn.state.query, attn.state.key]")
    assert abs(difference[tuple(found)]) == np.abs(difference).max()
    page.run("attn.change({ all: true })")
    page.drawn()
    listed = page.tab.locator("#row-list .number:last-child").all_inner_texts()
    assert "≈ 0" in listed
    assert not [text for text in listed if "<" in text or re.fullmatch("−?0\\.0+", text)]


def test_labels_of_the_matrix_choose_a_row_and_a_column(page: OpenPage) -> None:
    box, cell = (page.tab.locator(one).bounding_box() for one in ("#matrix", "#matrix-cell"))
    left, top = (cell[side] - place * cell["width"] for side, place in (("x", 4), ("y", 15)))
    page.tab.mouse.click(box["x"] + 20, top + 5.5 * cell["width"])
    page.drawn()
    assert page.run("[attn.state.query, attn.state.key, attn.state.direction]") == [5, 4, "from"]
    page.tab.mouse.click(left + 2.5 * cell["width"], box["y"] + 20)
    page.drawn()
    assert page.run("[attn.state.query, attn.state.key, attn.state.direction]") == [5, 2, "to"]


def test_a_pinned_head_is_let_go_of_by_the_same_button(page: OpenPage) -> None:
    page.tab.click("#compare")
    page.tab.click("#next-head")
    page.tab.click("#previous-head")
    page.tab.click("#previous-head")
    page.drawn()
    assert page.text("compare") == "beside 2.7"
    assert page.run("attn.headsShown().length") == 3
    page.tab.click("#compare")
    page.drawn()
    assert page.run("attn.headsShown().length") == 1


def test_the_pointer_names_the_cell_of_each_of_two_heads(page: OpenPage) -> None:
    page.press("c", "[")
    box = page.tab.locator("#matrix").bounding_box()
    said = list[str]()
    for part in (0.25, 0.95):  # in the first head, and in the difference
        page.tab.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] - 3)
        page.drawn()
        said.append(page.text("readout"))
    assert all(text.startswith("18 . → ") and " · 2.6 − 2.7 " in text for text in said)
    assert said[0] != said[1]


@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize("bits", ["8", "12"])
def test_hidden_keys_are_one_column_with_their_weight(
    divided: bool, bits: str, chromium: Any, written: Written
) -> None:
    options = ["--hide", "first,Sam", *(["--renormalize"] if divided else [])]
    page = OpenPage(chromium, written(TEXT, *options, "--bits", bits), "#head=2.7")
    weights, document = computed(TEXT, *options, "--heads", "2.7")
    found, errors, head = shown(page)
    hidden = np.array(document["attention"][0]["hidden"]["weight"])
    assert head["keys"][-1] == "hidden: 3"
    assert "<s>" not in head["keys"]
    assert np.abs(found[:, -1] - hidden).max() <= errors[:, -1].max() + ULP
    is_told = ~np.isnan(found[:, :-1]).all(axis=1) if divided else np.ones(len(found), bool)
    agree(found[is_told, :-1], errors[is_told, :-1], weights[is_told])
    assert (1 - hidden[~is_told]).max(initial=0) <= (0.012 if bits == "8" else 0.0008)  # too little to divide
    assert is_told.sum() >= 5


def test_a_row_of_which_nothing_is_left_says_so(page: OpenPage) -> None:
    heads = [(layer, head) for layer in range(4) for head in range(8)]
    layer, head = next(place for place in heads if any(row[0] == 1 for row in page.head(*place)[1:]))
    page.run(f"attn.change({{ hide: [0], renormalize: true, layer: {layer}, head: {head} }})")
    page.drawn()
    cell, columns = page.run("(([{ seen, columns }]) => [seen.indexOf(2), columns])(attn.headsShown())")
    query, key = divmod(cell, columns)
    page.run(f"attn.change({{ query: {query}, key: attn.headsShown()[0].keys.items[{key}].cells[0] }})")
    page.drawn()
    assert page.text("readout").endswith("too little weight is left to divide")
    assert page.text("row-list") == ""
    masked, empty = page.text("row-masked").split(" · ")
    assert masked == f"{columns - 1 - query} masked"
    assert empty == f"{query} with too little left to divide"
    style = "getComputedStyle(document.querySelector('#text [data-token=\"1\"]')).backgroundColor"
    assert page.run(style) == "rgb(243, 223, 162)"  # `--empty`: masked tokens have none
    page.run("attn.change({ query: 0, key: 1 })")
    page.drawn()
    assert page.text("readout").endswith(": masked")  # it comes later


def test_hidden_keys_are_no_part_of_the_sum_of_a_divided_row(page: OpenPage) -> None:
    page.run("attn.change({ hide: [0], renormalize: true })")
    page.drawn()
    weights = page.tab.locator("#row-list .number:last-child").all_inner_texts()
    assert sum(map(float, weights)) == pytest.approx(1, abs=0.001)
    assert "hidden: <s>" in page.text("row-apart")
    assert page.tab.is_visible(".apart")
    page.tab.select_option("#hide", "nothing")
    page.drawn()
    assert not page.tab.is_visible(".apart")


def test_keys_hide_and_show(page: OpenPage) -> None:
    page.press("s")
    assert page.run("attn.state.hide") == [0]
    assert "hidden: <s>" in page.text("row-apart")
    page.press("x")
    assert page.run("attn.state.hide") == [0, 4]
    assert page.tab.input_value("#hide") == "chosen"
    page.press("n")
    assert page.run("attn.state.renormalize") is True
    page.press("x", "s", "s")
    assert page.run("attn.state.hide") in ([], [0])
    page.tab.select_option("#hide", "nothing")
    page.drawn()
    assert page.tab.is_disabled("#renormalize")
    assert len(shown(page)[2]["keys"]) == len(shown(page)[2]["queries"])


def test_the_scale_says_what_its_colours_span(page: OpenPage) -> None:
    assert page.text("legend").split() == ["0", "1"]
    page.press("z")
    largest = np.nanmax(shown(page)[0][1:])  # the first token has no choice
    assert page.text("legend").split() == ["0", "≥", f"{largest:#.3g}"]
    page.press("z")
    assert page.text("legend").split() == ["≤", "0.00392", "1,", "log"]
    page.press("z")
    assert page.text("legend").split() == ["0", "1"]


@pytest.mark.parametrize("scale", ["common", "head", "log"])
def test_the_colour_of_a_weight_is_that_of_its_place_on_the_scale(scale: str, page: OpenPage) -> None:
    page.run(f"attn.change({{ scale: '{scale}', layer: 1, head: 3 }})")
    page.drawn()
    weights, _, _ = shown(page)
    weight, largest = weights[15, 1], np.nanmax(weights[1:])
    assert 0.01 < weight < largest < 1
    part = {"common": weight, "head": weight / largest, "log": 1 + np.log(weight) / np.log(255)}[scale]
    ramp = [[255, 255, 255], [214, 230, 244], [139, 184, 220], [53, 120, 182], [13, 56, 110]]
    expected = [np.interp(part * 4, range(5), channel) for channel in zip(*ramp, strict=True)]
    piece = "document.querySelector('#text [data-token=\"1\"]').style.backgroundColor"
    found = [int(number) for number in re.findall(r"\d+", page.run(piece))]
    assert np.abs(np.array(found) - expected).max() <= 1  # 256 colours


def test_the_map_of_heads_shows_small_values_and_says_what_it_spans(page: OpenPage) -> None:
    largest = page.run("Math.max(...attn.about.kinds[0].metrics.induction)")
    assert page.text("map-about").endswith(": 0 to 1")
    page.press("z")
    assert page.text("map-about").endswith(f": 0 to {largest:.3g}")
    page.press("z")
    assert page.text("map-about").endswith(f": {largest / 1000:.3g} to {largest:.3g}, logarithmic")


def test_words_have_the_weights_of_the_words_option(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(TEXT))
    page.press("w")
    for layer, head in ((0, 1), (2, 7), (3, 0)):
        page.run(f"attn.change({{ layer: {layer}, head: {head} }})")
        page.drawn()
        found, errors, labels = shown(page)
        weights, document = computed(TEXT, "--words", "--heads", f"{layer}.{head}")
        agree(found, errors, weights)
        assert labels["keys"] == [word["text"] for word in document["words"]]
    assert errors.max() == pytest.approx(6 * page.run("attn.about.error"))  # un·b·el·ie·v·ably


def test_words_and_hidden_keys_together(chromium: Any, written: Written) -> None:
    options = ("--hide", "first", "--renormalize")
    page = OpenPage(chromium, written(TEXT, *options, "--bits", "12"), "#words=true&head=1.3")
    found, errors, _ = shown(page)
    weights, _ = computed(TEXT, "--words", *options, "--heads", "1.3")
    is_told = ~np.isnan(found[:, :-1]).all(axis=1)
    agree(found[is_told, :-1], errors[is_told, :-1], weights[is_told])


def test_words_of_cross_attention_are_those_of_both_texts(
    tmp_path: Path, chromium: Any, written: Written
) -> None:
    TRANSLATORS["t5"].save(tmp_path / "t5")
    line = ("the cat sat unbelievably", "--target", "the unbelievable mat", "-m", tmp_path / "t5")
    page = OpenPage(chromium, written(*line), "#kind=cross&head=1.1&words=true")
    found, errors, _ = shown(page)
    agree(found, errors, computed(*line, "--kind", "cross", "--words", "--heads", "1.1")[0])


def test_arrows_move_from_word_to_word(page: OpenPage) -> None:
    page.run("attn.change({ words: true, query: 16, key: 5 })")
    page.press("ArrowRight")
    assert page.text("readout").startswith("16 sang → 6 unbelievably: ")
    page.press("ArrowRight")
    assert page.text("readout").startswith("16 sang → 12 ,: ")


def test_blocks_of_a_long_text_are_neither_merged_nor_hidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chromium: Any
) -> None:
    monkeypatch.setattr("attn_cli.reading.report.extent.MOST_BYTES", 25)
    file = tmp_path / "long.html"
    assert attn("report", "the cat sat on the mat", "-m", "random", "-o", file).status == 0
    page = OpenPage(chromium, file, "#words=true&hide=0")
    page.press("w", "s", "x", "n")
    assert page.run("[attn.state.words, attn.state.hide]") == [False, []]
    assert page.tab.is_disabled("#words")
    assert page.tab.is_disabled("#hide")


def test_lines_are_those_of_strong_weights(page: OpenPage) -> None:
    page.press("l")
    assert not page.tab.is_visible("#matrix")
    page.press("z", "z")
    assert page.text("legend").split() == ["≤", "0.00392", "1,", "log"]  # it is that of the lines too
    found, _, _ = shown(page)
    count = int((np.nan_to_num(found) >= 0.02).sum())
    assert page.text("lines-about").startswith(
        f"Queries left, keys right: lines for weights of at least 0.02 ({count})"
    )
    box = page.tab.locator("#lines").bounding_box()
    page.tab.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + 2 * 18 + 9)
    page.drawn()
    assert page.run("[attn.state.key, attn.state.direction]") == [2, "to"]
    page.press("l")
    assert page.tab.is_visible("#matrix")


def test_lines_of_500_tokens_are_few_and_their_tokens_readable(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(LONGER * 22), "#view=lines")
    rows = page.run("attn.headsShown()[0].rows")
    assert rows > 300
    assert int(page.text("lines-about").split("(")[1].split(")")[0]) <= 3 * rows
    assert page.run("document.getElementById('lines').height") <= 1200  # it is drawn as it scrolls
    page.run("attn.change({ query: 300, direction: 'from' })")
    page.drawn()
    box = page.tab.locator("#lines-box").bounding_box()
    top = page.run("document.getElementById('lines-box').scrollTop")
    assert top > 0
    page.tab.mouse.click(box["x"] + 150, box["y"] + 200)
    page.drawn()
    assert abs(page.run("attn.state.query") - (200 + top) // 18) <= 1


def test_a_dot_of_the_scatter_is_named_and_chosen(page: OpenPage) -> None:
    page.press("v")
    page.tab.select_option("#across", "entropy")
    page.drawn()
    values = page.run("attn.about.kinds[0].metrics")
    farthest = int(np.argmax(values["entropy"]))
    x, y = (values[name][farthest] / max(values[name]) for name in ("entropy", "induction"))
    box = page.tab.locator("#scatter").bounding_box()
    length = box["width"] - 50
    at = box["x"] + 46 + x * (length - 12), box["y"] + length - y * (length - 12)
    page.tab.mouse.move(*at)
    name = f"{farthest // 8}.{farthest % 8}"
    assert page.text("map-says").startswith(f"Head {name} · ")
    assert f"entropy on this text {values['entropy'][farthest]:.3g}" in page.text("map-says")
    page.tab.mouse.click(*at)
    page.drawn()
    assert page.text("head-title") == f"Head {name}"


def test_a_pattern_is_told_apart_from_the_metric_of_the_same_name(page: OpenPage) -> None:
    pattern = "pattern induction 0.78 (random tokens, 4,080 rows)"
    assert page.text("map-says").startswith(f"Head 2.7 · {pattern} · induction on this text 0.")
    assert page.tab.locator("#metric option[value=induction]").inner_text() == "induction on this text"
    page.press("v")
    assert page.text("map-about").startswith("across: entropy on this text, up: induction on this text")
    page.press("v")
    assert "induction 0.78" in page.text("head-list")
    assert "rows)" not in page.text("head-list")
    assert "induction on this text" in page.text("head-names")


def test_the_list_of_heads_filters_and_sorts(page: OpenPage) -> None:
    page.press("v", "v")
    assert page.tab.locator("#head-list tr").count() == 32
    page.tab.click("#head-names th:nth-child(3) button")
    page.drawn()
    values = page.run("attn.about.kinds[0].metrics.induction")
    best = int(np.argmax(values))
    assert page.tab.inner_text("#head-list tr:first-child td") == f"{best // 8}.{best % 8}"
    patterns = page.run("attn.about.kinds[0].patterns.map((one) => one && one[0])")
    page.tab.select_option("#pattern", "induction")
    page.drawn()
    assert page.tab.locator("#head-list tr").count() == patterns.count("induction") > 0
    page.tab.focus("#head-list button")
    page.press("Enter")
    assert page.text("head-title") == f"Head {page.tab.inner_text('#head-list tr:first-child td')}"
    assert page.said == []


def test_a_link_shows_the_same_view_again(page: OpenPage, chromium: Any, written: Written) -> None:
    page.press("c", "]", "s", "n", "w", "z", "v", "v")
    page.wait("location.hash.includes('overview=list')")
    again = OpenPage(chromium, written(TEXT), page.run("location.hash"))
    again.drawn()
    for element in ("head-title", "readout", "row-names", "row-list", "legend", "map-about", "compare"):
        assert again.text(element) == page.text(element)
