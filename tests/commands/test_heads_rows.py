"""`attn heads --rows --on`: the metrics of some queries, and the weight on some keys."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.show import data
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.worlds import attn

TEXT = "the cat sat on the mat and the cat slept on it"
WORDS = [
    "the",
    "little",
    "cat",
    "sat",
    "on",
    "it",
    "and",
    "slept",
    "while",
    "a",
    "dog",
    "ran",
    "to",
    "the",
    "red",
    "house",
    "of",
    "Tom",
]
CARD = "names come from the model's card; from this text: --no-probe"
WITHOUT_NAMES = (
    "heads have no names: these rows alone give none; attn heads --probe names the heads for any text, "
    "--no-probe by all rows of this one"
)

Numbers = npt.NDArray[np.floating]


def document(*words: str | Path) -> dict[str, Any]:
    """The JSON object of a command, which fits the schema."""
    answer = attn(*words, "--json").document
    jsonschema.Draft202012Validator(json.loads(data.schema())).validate(answer)
    return answer


def expected_of(whole: dict[str, Any], entry: dict[str, Any], on: list[int]) -> dict[str, float | None]:
    """The metrics of some rows of a head, from their weights over all keys, as the glossary defines them."""
    weights, queries = np.array(entry["steps"]["weights"], float), np.array(entry["queries"])
    is_cross = entry["kind"] == "cross"
    keys = whole["tokens"] if entry["kind"] != "decoder" else whole["target_tokens"]
    mask = np.array(entry["steps"]["mask"], bool)
    ids, special = np.array([key["id"] for key in keys]), np.array([key["special"] for key in keys])
    places, chosen = np.arange(len(keys)), np.isin(np.arange(len(keys)), on)
    later = np.ones(len(queries), bool) if is_cross else queries > 0
    found = {
        "entropy": mean(-(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=-1)),
        "largest": mean(weights.max(axis=-1)),
        "on": over(weights, chosen[None] & mask),
        "first-token": over(weights, (places == 0)[None] & mask, later),
        "special": over(weights, special[None] & mask, later),
        "received": float(weights.sum(axis=0).max() / len(queries)),
    }
    if is_cross:
        return found
    back = queries[:, None] - places
    copies = (ids[queries][:, None] == ids) & (back > 0)
    followers = np.zeros_like(copies)
    followers[:, 1:] = copies[:, :-1] & (back[:, 1:] > 0)
    return found | {
        "distance": mean((weights * abs(back)).sum(axis=-1)),
        "current-token": over(weights, (back == 0) & mask, later),
        "previous-token": over(weights, (back == 1) & mask, later),
        "duplicate-token": over(weights, copies & mask),
        "induction": over(weights, followers & mask),
    }


def mean(numbers: Numbers) -> float | None:
    return float(numbers.mean()) if numbers.size else None


def over(weights: Numbers, cells: npt.NDArray[np.bool_], rows: Any = True) -> float | None:
    """The mean weight on the cells, over the rows that have one."""
    counted = cells.any(axis=-1) & rows
    return mean((weights * cells).sum(axis=-1)[counted])


def same_as_matrices(*line: str | Path, rows: str, on: str) -> None:
    found = document("heads", *line, "--rows", rows, "--on", on)
    whole = attn("inspect", *line, "-l", "all", "-s", "weights,mask", "--rows", rows, "--json").document
    assert found["rows"] == whole["attention"][0]["queries"]
    for head, entry in zip(found["heads"], whole["attention"], strict=True):
        assert (head["layer"], head["head"]) == (entry["layer"], entry["head"])
        for metric, value in expected_of(whole, entry, found["on"]).items():
            scale = len(whole["tokens"]) if metric == "distance" else 1
            # float32: sums of up to 2,000 weights, and of logits of up to 20
            assert head[metric] == (value if value is None else pytest.approx(value, abs=1e-6 * scale)), (
                metric
            )


def long_text(words: int) -> str:
    """Words in an order that has no period."""
    return " ".join(WORDS[number * number % 17 * number % len(WORDS)] for number in range(words))


@pytest.mark.parametrize("rows", ["-1", "it@3", "first", "cat@2,200-209,-1"])
def test_a_full_text_of_storybook_has_the_metrics_of_full_matrices(rows: str) -> None:
    same_as_matrices(long_text(490), rows=rows, on="0-40,slept@2")


@pytest.mark.parametrize("rows", ["-1", "1990-1999"])
def test_a_text_of_2000_tokens_has_the_metrics_of_full_matrices(rows: str, tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    same_as_matrices(long_text(2000), "-m", tmp_path, rows=rows, on="1500-1999")


@pytest.mark.parametrize(
    "family", ["gpt2", "bert", "llama", "mistral", "gemma2", "bloom", "mpnet", "modernbert", "deberta-v2"]
)
@pytest.mark.parametrize("rows", ["-1", "cat", "0-2,5"])
def test_any_model_has_the_metrics_of_full_matrices(
    family: str, rows: str, twins: Path, tmp_path: Path
) -> None:
    if family in FAMILIES:
        FAMILIES[family].save(tmp_path)
    model = tmp_path if family in FAMILIES else twins / family
    same_as_matrices(TEXT, "-m", model, rows=rows, on="first,sat,it")


@pytest.mark.parametrize(
    ("kind", "rows", "on"), [("cross", "mat", "cat"), ("decoder", "-1", "mat"), ("encoder", "sat", "cat")]
)
def test_each_kind_of_an_encoder_decoder_selects_queries_and_keys_in_its_own_text(
    kind: str, rows: str, on: str, tmp_path: Path
) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    target = ("--target", "the mat was tired")
    same_as_matrices("the cat sat", *target, "-m", tmp_path, "--kind", kind, rows=rows, on=on)


def test_both_texts_of_a_pair_are_searched(twins: Path) -> None:
    same_as_matrices("the cat sat", "--pair", "on the mat", "-m", twins / "bert", rows="mat", on="cat")
