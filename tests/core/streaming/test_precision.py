"""The metrics lose nothing to sums in float32: they equal those of full matrices in float64.

Queries and keys are multiples of 1/8, so that their products are exact in float32 in any order: what
remains is what the softmax and the sums over keys and rows round.
"""

import math
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.core import masks
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.positions import alibi
from attn_cli.core.streaming import stream
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.stream import summarise
from attn_cli.vocabulary import Metric
from tests.support.full_matrices import summary_of
from tests.support.libraries import LIBRARIES, Convert

TOKENS, HEADS, SIZE = 400, 8, 16

# A power in float32 is wrong by 2.5e-7, a sum of a few hundred of them by as much.
FLOAT32 = 1e-6

FAMILIES: dict[str, dict[str, Any]] = {
    "grouped": {"groups": 2},
    "windows": {"mask": masks.both(masks.causal, masks.sliding(150))},
    "both sides": {"mask": masks.everywhere},
    "ALiBi": {"bias": True},
    "sinks": {"groups": 2, "sink": True},
    "soft caps": {"softcap": 4.0},
}


def layer(family: str, convert: Convert, dtype: npt.DTypeLike) -> Operands:
    """A layer whose rows are peaked, on the first token and elsewhere."""
    draw, how = np.random.default_rng(0), FAMILIES[family]
    q, k = (
        convert((draw.integers(-24, 24, (heads, TOKENS, SIZE)) / 8).astype(dtype))
        for heads in (HEADS, how.get("groups", HEADS))
    )
    return Operands(
        q,
        k,
        k,
        1.0,
        mask=how.get("mask", masks.causal),
        bias=alibi(HEADS, q) if "bias" in how else None,
        softcap=how.get("softcap"),
        sink=convert(draw.integers(20, 60, HEADS).astype(dtype)) if "sink" in how else None,
    )


def tokens() -> KeyTokens:
    ids = np.random.default_rng(1).integers(0, 40, TOKENS)
    places = np.arange(TOKENS)
    return KeyTokens(ids, np.isin(places, [0, TOKENS - 1]), on=places < TOKENS // 3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("way", [*LIBRARIES, "compiled", "many texts"])
def test_sums_over_keys_and_rows_are_as_good_as_in_float64(
    way: str, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_WORTH_COMPILING", 0 if way == "compiled" else math.inf)
    monkeypatch.setattr(stream, "_has_many_texts", ContextVar("_", default=way == "many texts"))
    library = {"compiled": "torch", "many texts": "numpy"}.get(way, way)
    operands = layer(family, LIBRARIES[library], np.float32)
    agree(operands, family, FLOAT32, monkeypatch)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_in_float64_everything_is(library: str, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    agree(layer(family, LIBRARIES[library], np.float64), family, 1e-12, monkeypatch)


def agree(operands: Operands, family: str, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare, in chunks of 64 keys, with the matrices of the same layer in float64."""
    choose = stream.choose_measurer

    def in_small_chunks(*given: Any) -> Any:
        sizes, measurer = choose(*given)
        return replace(sizes, chunk=64), measurer

    monkeypatch.setattr(stream, "choose_measurer", in_small_chunks)
    found = summarise(operands, tokens=tokens())
    expected = summary_of(layer(family, LIBRARIES["numpy"], np.float64), tokens(), 1024)
    assert list(found.values) == [metric for metric in Metric if metric in expected.values]
    for metric, numbers in expected.values.items():
        assert_close(to_numpy(found.values[metric]), numbers, tolerance, metric)
    assert_close(to_numpy(found.logsumexp), expected.logsumexp, tolerance, "logsumexp")


def assert_close(found: npt.NDArray[Any], expected: npt.NDArray[Any], tolerance: float, what: str) -> None:
    """Within the tolerance, relative where a number is above 1: tokens, nats, weights of many rows."""
    np.testing.assert_allclose(found, expected, tolerance, tolerance, err_msg=what)
