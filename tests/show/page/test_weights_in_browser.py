"""Every weight that a browser decodes from a page equals that of --json, within the error on the page."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.sinks import Sinks
from tests.support.worlds import attn

pytestmark = pytest.mark.browser

TEXT = "the cat sat on the mat and the cat sat"
OF_ANOTHER_PASS = 1e-6  # of weights that were computed together with metrics, to those of --json
ULP = 6e-8  # of float32 below 1: --json has as many digits as tell its numbers apart
TWINS = {"bert": [], "gpt2": [], "llama": ["--bits", "12"]}


def largest_difference(page: OpenPage, entry: dict[str, Any], kind: int = 0) -> float:
    """How far the weights of a head on the page are from those of --json; masked cells agree."""
    found = np.array(page.head(entry["layer"], entry["head"], kind), dtype=np.float64)
    weights = np.array(entry["steps"]["weights"])
    mask = np.array(entry["steps"]["mask"], dtype=bool)
    assert np.array_equal(np.isnan(found), ~mask)
    return float(np.abs(np.nan_to_num(found) - weights).max())


def entries(*line: str | Path) -> list[dict[str, Any]]:
    document = attn("inspect", *line, "-l", "all", "-H", "all", "-s", "weights,mask", "--json").document
    found: list[dict[str, Any]] = document["attention"]
    return found


@pytest.mark.parametrize(("name", "options"), TWINS.items())
def test_every_weight_is_that_of_json(
    name: str, options: list[str], twins: Path, chromium: Any, written: Written
) -> None:
    page = OpenPage(chromium, written(TEXT, "-m", twins / name, *options))
    stated = page.run("attn.about.error")
    differences = [largest_difference(page, entry) for entry in entries(TEXT, "-m", twins / name)]
    assert len(differences) == 12
    assert max(differences) == pytest.approx(stated, abs=OF_ANOTHER_PASS)  # the largest, not a bound
    assert stated <= (1.3e-4 if options else 0.002)


def test_encoder_decoder_and_cross_attention_have_their_own_labels(
    tmp_path: Path, chromium: Any, written: Written
) -> None:
    TRANSLATORS["t5"].save(tmp_path / "t5")
    line = (TEXT, "--target", "the mat", "-m", tmp_path / "t5")
    page = OpenPage(chromium, written(*line))
    assert page.run("attn.about.kinds.map((one) => [one.kind, one.queries, one.keys])") == [
        ["encoder", 0, 0],
        ["decoder", 1, 1],
        ["cross", 1, 0],
    ]
    error = page.run("attn.about.error")
    for index, kind in enumerate(("encoder", "decoder", "cross")):
        of_kind = entries(*line, "--kind", kind)
        assert max(largest_difference(page, entry, index) for entry in of_kind) <= error + ULP
    page.run("attn.change({ kind: 2, query: 1, key: 2 })")
    page.drawn()
    assert page.text("readout").startswith("1 the → 2 sat: ")


def test_chosen_heads_are_exact(twins: Path, chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(TEXT, "-m", twins / "gpt2", "--heads", "1.2,0.3"))
    of_head = {(entry["layer"], entry["head"]): entry for entry in entries(TEXT, "-m", twins / "gpt2")}
    assert page.text("head-title") == "Head 1.2"
    assert page.text("head-exact") == "exact: float32, as computed"
    for place in ((1, 2), (0, 3)):
        assert largest_difference(page, of_head[place]) <= ULP
    steps = page.run("attn.about.exact[0].steps")
    assert list(steps) == ["queries", "keys", "values", "scores", "logits", "weights", "context"]


def test_a_learned_sink_has_its_weight(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chromium: Any
) -> None:
    source = Sinks(np.array([1.0, -2.0]), None)
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: source)
    file = tmp_path / "sinks.html"
    assert attn("report", "a b c", "-m", "random", "-o", file).status == 0
    page = OpenPage(chromium, file)
    document = attn("inspect", "a b c", "-m", "random", "-H", "all", "-s", "weights", "--json").document
    weights: npt.NDArray[np.float64] = np.array(document["attention"][1]["steps"]["weights"])
    taken = page.run("attn.headAt({ kind: 0, layer: 0, head: 1 }).then((head) => [...head.sink])")
    assert np.abs(np.array(taken) - (1 - weights.sum(axis=-1))).max() <= 0.002
    assert page.run("attn.headAt({ kind: 0, layer: 1, head: 1 }).then((head) => head.sink)") is None


def test_a_long_text_has_the_largest_weight_of_each_block(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chromium: Any
) -> None:
    monkeypatch.setattr("attn_cli.reading.report.extent.MOST_BYTES", 25)
    file = tmp_path / "long.html"
    answer = attn("report", TEXT, "-m", "random", "--causal", "-o", file)
    assert "the page has the largest weight of each block of 2 × 2: 10 × 10 are too many" in answer.err
    page = OpenPage(chromium, file)
    entry = entries(TEXT, "-m", "random", "--causal")[1]
    whole = np.array(entry["steps"]["weights"]).reshape(5, 2, 5, 2).max(axis=(1, 3))
    found = np.array(page.head(0, 1), dtype=np.float64)
    assert np.array_equal(np.isnan(found), np.triu(np.ones((5, 5), dtype=bool), 1))
    assert np.abs(np.nan_to_num(found) - whole).max() <= 0.002
    assert "largest weight of each block of 2 × 2" in page.run("document.body.innerText")


def test_layers_with_a_window_have_a_mask_of_their_own(
    tmp_path: Path, chromium: Any, written: Written
) -> None:
    FAMILIES["gemma3_text"].save(tmp_path / "gemma")
    line = (TEXT, "-m", tmp_path / "gemma")
    page = OpenPage(chromium, written(*line))
    masks = page.run("attn.about.kinds[0].masks")
    assert len(set(masks)) == 2 < len(masks)
    assert (
        max(largest_difference(page, entry) for entry in entries(*line)) <= page.run("attn.about.error") + ULP
    )
