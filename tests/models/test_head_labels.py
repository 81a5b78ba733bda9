"""`attn.json`: the labels of a model's heads, validated before use."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attn_cli.analysis.patterns import choose_pattern
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.errors import AttnError
from attn_cli.models.head_labels import HeadLabel, read_head_labels
from attn_cli.vocabulary import Metric, Pattern
from tests.support.full_matrices import named_cells

HEAD = {"layer": 1, "head": 0, "pattern": "induction", "score": 0.75}


def written(directory: Path, *heads: Any) -> Path:
    (directory / "attn.json").write_text(json.dumps({"heads": heads}))
    return directory


def test_labels_are_sorted_and_unknown_heads_left_out(tmp_path: Path) -> None:
    other, unknown = HEAD | {"head": 1, "score": 0.9}, HEAD | {"pattern": None, "score": 0.0}
    found = read_head_labels(written(tmp_path, HEAD, unknown, other), 2, 2)
    assert found == (HeadLabel(1, 1, Pattern.INDUCTION, 0.9), HeadLabel(1, 0, Pattern.INDUCTION, 0.75))


def test_a_model_without_the_file_is_known_for_nothing(tmp_path: Path) -> None:
    assert read_head_labels(tmp_path, 2, 2) == ()


@pytest.mark.parametrize(
    "wrong",
    [{"layer": 2}, {"layer": -1}, {"head": 2}, {"score": 1.5}, {"score": float("nan")}],
)
def test_what_does_not_fit_the_model_is_refused(wrong: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(AttnError, match=r"attn\.json does not match the model: head ") as raised:
        read_head_labels(written(tmp_path, HEAD | wrong), 2, 2)
    assert raised.value.hint == "remove the file: the model works without attn.json"


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"heads": 3}', '{"heads": [{}]}', '{"heads": [null]}', "[" * 100_000, "\udcff"]
    + [json.dumps({"heads": [HEAD | {"layer": value}]}) for value in ("x", None, float("inf"))]
    + [json.dumps({"heads": [HEAD | {"pattern": "dancing"}]})],
)
def test_damage_is_reported(content: str, tmp_path: Path) -> None:
    (tmp_path / "attn.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(AttnError, match=r"attn\.json is damaged: "):
        read_head_labels(tmp_path, 2, 2)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_induction_is_chosen_if_enough_tokens_repeat(ids: list[int]) -> None:
    cells = named_cells(KeyTokens(np.array(ids)), len(ids), len(ids))
    rows = (cells[Metric.INDUCTION] & ~cells[Metric.PREVIOUS]).any(axis=-1).sum()
    expected = Pattern.INDUCTION if rows >= 3 else Pattern.PREVIOUS
    assert choose_pattern(np.array(ids)) is expected
