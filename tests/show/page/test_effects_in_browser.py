"""Direct effects on the map of the page are those of `attn effects`; the page names the prediction."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage
from tests.support.families import TRANSLATORS
from tests.support.worlds import attn

TEXT = "Tom Thumb went to sea, and Tom"


def about(file: Path) -> dict[str, Any]:
    (block,) = re.findall(r'id="about">(.*)</script>', file.read_text("utf-8"))
    found: dict[str, Any] = json.loads(block)
    return found


def test_direct_effects_are_those_of_effects(written: Written) -> None:
    document = attn("effects", TEXT, "--json").document
    found = about(written(TEXT))
    heads = document["direct"]["heads"]
    assert found["kinds"][0]["metrics"]["direct effect"] == pytest.approx(
        [head["effect"] for head in heads], rel=1e-4
    )
    explanation, unit = found["metrics"]["direct effect"]
    token = document["target"]["text"].strip()
    assert token in explanation
    assert f'after {document["position"]} "Tom"' in explanation
    assert unit == "in logits"


def test_decoder_and_cross_heads_have_effects_and_encoder_heads_have_none(
    tmp_path: Path, written: Written
) -> None:
    TRANSLATORS["t5"].save(tmp_path / "t5")
    line = (TEXT, "--target", "the mat", "-m", tmp_path / "t5")
    heads = attn("effects", *line, "--json").document["direct"]["heads"]
    found = about(written(*line))["kinds"]
    assert "direct effect" not in found[0]["metrics"]
    for kind in found[1:]:
        of_kind = [head["effect"] for head in heads if head.get("kind", "decoder") == kind["kind"]]
        assert kind["metrics"]["direct effect"] == pytest.approx(of_kind, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["-m", "random"], "random predicts no tokens"),
        (["-m", "bert"], "No direct effects on the map: "),
    ],
)
def test_a_model_without_predictions_has_a_page_that_says_so(
    options: list[str], why: str, twins: Path, written: Written
) -> None:
    model = options[1] if options[1] == "random" else str(twins / options[1])
    file = written(TEXT, "-m", model)
    found = about(file)
    assert "direct effect" not in found["metrics"]
    assert len([note for note in found["notes"] if why in note]) == 1


@pytest.mark.browser
def test_effects_below_and_above_zero_have_different_colours(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(TEXT))
    page.run("attn.change({ metric: 'direct effect' })")
    page.drawn()
    assert page.said == []
    values = page.run("attn.about.kinds[0].metrics['direct effect']")
    colours = {
        sign: _pixel(page, values.index(best)) for sign, best in (("+", max(values)), ("-", min(values)))
    }
    assert min(values) < 0 < max(values)
    assert colours["+"][2] > colours["+"][0]  # blue
    assert colours["-"][0] > colours["-"][2]  # orange
    assert "what the head adds to the logit of" in page.text("map-about")
    largest = max(map(abs, values))
    assert f": -{largest:.3g} to {largest:.3g} in logits" in page.text("map-about")


@pytest.mark.browser
def test_the_page_names_the_next_token_and_goes_to_the_head_and_row_that_predict_it(
    chromium: Any, written: Written
) -> None:
    document = attn("effects", TEXT, "--json").document
    likeliest = document["predictions"][0]
    strongest = max(document["direct"]["heads"], key=lambda head: float(head["effect"]))
    page = OpenPage(chromium, written(TEXT), "#query=2&key=1&direction=to")
    token = likeliest["text"].strip() or "⏎"
    assert page.text("to-next") == f"{token} {likeliest['probability']:.2g} ↓"
    page.tab.click("#to-next")
    page.drawn()
    rows = page.run("attn.headsShown()[0].rows")
    assert page.run("[attn.state.query, attn.state.direction]") == [rows - 1, "from"]
    place = [strongest["layer"], strongest["head"]]
    assert page.run("[attn.state.layer, attn.state.head]") == place
    assert page.run("document.getElementById('metric').value") == "direct effect"  # what heads add to it
    shown = attn("inspect", TEXT, "--heads", f"{place[0]}.{place[1]}", "--json").document["attention"][0]
    last = shown["steps"]["weights"][-1]
    assert page.run("attn.state.key") == last.index(max(last))
    assert page.text("readout").startswith(f"{rows - 1} ")


@pytest.mark.browser
def test_orange_and_blue_are_explained(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(TEXT), "#metric=direct+effect")
    assert page.text("map-about").endswith("adds")
    assert "takes away" in page.text("map-about")
    assert "rgb(140, 45, 4)" in page.run("document.querySelector('#map-about .ramp').style.backgroundImage")


def _pixel(page: OpenPage, index: int) -> list[int]:
    """The colour of a head on the map, a little away from its edges."""
    place = {"row": index // 8, "head": index % 8}
    script = """({ row, head }) => {
      const map = document.getElementById('map'), size = (map.width - 27) / 8;
      const [x, y] = [26 + head * size + size / 2, 26 + row * size + size / 2];
      return [...map.getContext('2d').getImageData(x, y, 1, 1).data];
    }"""
    found: list[int] = page.run(script, place)
    return found
