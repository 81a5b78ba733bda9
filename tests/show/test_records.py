"""Heads at a glance as files."""

import io
import json

import numpy as np

from attn_cli.show.records import Record
from attn_cli.show.writers import RECORDS, Results

METRICS = ["entropy", "previous-token"]


def record(layer: int, head: int, entropy: float | None, pattern: str | None = None) -> Record:
    score = None if pattern is None else 0.5
    place: dict[str, int | float | str | None] = {"kind": "self", "layer": layer, "head": head}
    rows = None if pattern is None else 9
    return place | {
        "pattern": pattern,
        "score": score,
        "rows": rows,
        "entropy": entropy,
        "previous-token": 0.25,
    }


HEADS = [record(5, 0, 1.5, "broad"), record(2, 3, None)]


def encoded(suffix: str, heads: list[Record]) -> bytes:
    return RECORDS.encode(suffix, Results({"schema": 1, "metrics": METRICS, "heads": heads}))


def test_a_csv_has_a_line_for_each_head_in_their_order() -> None:
    assert encoded(".csv", HEADS).decode().splitlines() == [
        "kind,layer,head,pattern,score,rows,entropy,previous-token",
        "self,5,0,broad,0.5,9,1.5,0.25",
        "self,2,3,,,,,0.25",
    ]


def test_a_csv_of_no_heads_names_its_columns() -> None:
    assert encoded(".csv", []) == b"kind,layer,head,pattern,score,rows,entropy,previous-token\n"


def test_a_json_file_is_the_document() -> None:
    assert json.loads(encoded(".json", HEADS))["heads"] == HEADS


def test_an_npz_has_an_array_of_layers_and_heads_for_each_number() -> None:
    with np.load(io.BytesIO(encoded(".npz", HEADS))) as found:
        assert (found["layer"].tolist(), found["head"].tolist()) == ([2, 5], [0, 3])
        np.testing.assert_array_equal(found["entropy"], [[np.nan, np.nan], [1.5, np.nan]])
        np.testing.assert_array_equal(found["score"], [[np.nan, np.nan], [0.5, np.nan]])
        np.testing.assert_array_equal(found["rows"], [[np.nan, np.nan], [9, np.nan]])
        np.testing.assert_array_equal(found["previous-token"], [[np.nan, 0.25], [0.25, np.nan]])
        assert found["pattern"].tolist() == [["", ""], ["broad", ""]]
        assert json.loads(str(found["meta"])) == {"schema": 1, "metrics": METRICS, "kind": "self"}


def test_an_npz_of_no_heads_is_empty() -> None:
    with np.load(io.BytesIO(encoded(".npz", []))) as found:
        assert found["entropy"].shape == (0, 0)
