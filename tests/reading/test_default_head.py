"""The default head, and the remarks about it."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attn_cli.reading import default_head
from attn_cli.reading.default_head import choose_default_head
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import head_steps
from attn_cli.vocabulary import Step
from tests.support.readings import reading_of
from tests.support.twins import WIDTH, Recipe, gpt2
from tests.support.worlds import attn

TEXT = "the cat sat on the mat"


def test_the_default_head_costs_no_second_run(reading: Reading, ran: list[int]) -> None:
    found = choose_default_head(reading, [Step.WEIGHTS])
    assert ran == [0, 1, 2]
    again = head_steps(reading, [(found.head.layer, found.head.head)], [Step.WEIGHTS])[0]
    np.testing.assert_array_equal(found.head.steps[Step.WEIGHTS], again.steps[Step.WEIGHTS])


def test_the_default_head_is_chosen_from_all_layers_of_a_quick_model(ran: list[int], tmp_path: Path) -> None:
    chosen = choose_default_head(reading_of_layers(13, tmp_path), [Step.WEIGHTS])
    assert ran == list(range(13))
    assert (chosen.out_of, chosen.layers) == (13 * 4, 13)


@pytest.mark.parametrize("layers", [12, 13])
def test_the_default_head_of_a_slow_model_is_chosen_from_its_first_twelve_layers(
    layers: int, ran: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_head, "_WEIGHTS_PER_SECOND", 12 * 12 * WIDTH**2 / 1.1)
    chosen = choose_default_head(reading_of_layers(layers, tmp_path), [Step.WEIGHTS])
    assert ran == list(range(12))
    assert (chosen.out_of, chosen.layers) == (12 * 4, 12)


def reading_of_layers(layers: int, directory: Path) -> Reading:
    config = gpt2()
    config.n_layer = layers
    Recipe("GPT2Model", config, 2.0).save(directory)
    return reading_of(TEXT, str(directory))


@pytest.mark.parametrize(
    ("layers", "width", "tokens", "looked_at"),
    [
        (41, 1000, 1, 41),  # 12 · 41 · 1000² weights in 0.98 s, and 0.01 s of operations
        (42, 1000, 1, 12),
        (20, 10, 9300, 20),  # 20 · 9300 · 10 · (240 + 4 · 9300) operations in 0.995 s
        (20, 10, 9350, 12),
        (30, 576, 5_500, 12),  # 11 · 5500 · 576 · (24 · 576 + 4 · 5500) operations in 17.8 s, and 0.1 s
        (30, 576, 6_000, 11),
        (30, 576, 250_000, 1),  # the first layer reads what no other has to write
    ],
)
def test_a_model_is_quick_if_reading_and_running_it_take_a_second(
    layers: int, width: int, tokens: int, looked_at: int
) -> None:
    card, extent = SimpleNamespace(width=width), SimpleNamespace(layers=range(layers))
    source, places = SimpleNamespace(card=card, backend=SimpleNamespace(device="cpu")), range(tokens)
    of_tokens = SimpleNamespace(queries=places, keys=places)
    reading: Any = SimpleNamespace(extent=extent, source=source, of_tokens=of_tokens)
    assert len(default_head.layers_to_choose_from(reading)) == looked_at
    source.backend.device = "cuda:0"  # a long text has as many there
    assert len(default_head.layers_to_choose_from(reading)) == max(looked_at, min(layers, 12))


def test_for_a_slow_model_the_remark_has_the_number_of_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_head, "_WEIGHTS_PER_SECOND", 12 * 12 * WIDTH**2 / 1.1)
    reading_of_layers(13, tmp_path)
    why = attn("inspect", TEXT, "-m", tmp_path).err.splitlines()[0]
    assert " is shown: of the 48 heads in the first 12 layers (of 13), it attends most sharply to " in why


def test_for_a_long_text_the_remark_names_the_first_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_head, "_WEIGHTS_PER_SECOND", 1)
    reading_of_layers(3, tmp_path)
    why = attn("inspect", TEXT, "-m", tmp_path).err.splitlines()[0]
    assert " is shown: of the 4 heads in the first layer (of 3), it attends " in why


def known(twins: Path, directory: Path, pattern: str) -> Path:
    """A twin whose head 2.1 is known for the pattern."""
    shutil.copytree(twins / "gpt2", directory, dirs_exist_ok=True)
    heads = [{"layer": 2, "head": 1, "pattern": pattern, "score": 0.9}]
    (directory / "attn.json").write_text(json.dumps({"heads": heads}))
    return directory


def test_the_remark_says_what_the_head_does_on_this_text(twins: Path, tmp_path: Path) -> None:
    line = ("inspect", "and the cat sat, and the cat sat", "-m", known(twins, tmp_path, "induction"))
    why, here, *_ = attn(*line).err.splitlines()
    heads = ("heads", *line[1:], "--where", "layer=2", "--json")
    measured = next(head for head in attn(*heads).document["heads"] if head["head"] == 1)
    assert why == (
        "head 2.1 is shown, the clearest induction head of 12: "
        "it attends to what followed an earlier copy of the token"
    )
    assert here.startswith(
        f"on this text it puts {measured['induction']:.2f} of its weight there on average (3 rows); "
    )


def test_the_pair_in_the_remark_has_the_weight_that_is_printed(twins: Path) -> None:
    answer = attn("inspect", TEXT, "-m", twins / "bert", "--json")
    here = answer.err.splitlines()[1]
    query, key = (int(words.split(")")[0]) for words in here.split("(")[1:])
    weight = answer.document["attention"][0]["steps"]["weights"][query][key]
    assert f" puts {weight:.2f} of its weight on " in here
    assert here.startswith(f'on this text, "{answer.document["tokens"][query]["text"].strip()}" ({query}) ')


def test_a_token_in_the_remark_is_not_a_control_sequence(twins: Path) -> None:
    answer = attn("inspect", "\x1b[31m \x1b[31m \x1b \x1b sat", "-m", twins / "gpt2")
    assert "\x1b" not in answer.err
