"""A layer opened: its queries and keys stage by stage, and what each attention knows of its layer."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.core import masks
from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.attention import Operands
from attn_cli.core.layers import RmsNorm
from attn_cli.core.multihead import Attention, Linear, MultiHeadAttention, split
from attn_cli.core.positions import Rotary
from tests.support.libraries import Convert

WIDTH, HEADS, T, S = 24, 4, 6, 9
ROTARY = Rotary(np.array([1.0, 0.1], dtype=np.float32))


def drawn(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float64]:
    return rng.normal(0, 1, shape)


def rms(array: Convert, size: int = WIDTH // HEADS) -> RmsNorm:
    return RmsNorm(array(np.linspace(1, 2, size)), 1e-6)


def layer_of(array: Convert, rng: np.random.Generator, **rest: Any) -> MultiHeadAttention:
    """A layer with two key/value heads."""
    shared = WIDTH // HEADS * 2
    query, key, value, output = (
        Linear(array(drawn(rng, rows, WIDTH)), array(drawn(rng, rows)))
        for rows in (WIDTH, shared, shared, WIDTH)
    )
    return MultiHeadAttention(query, key, value, output, HEADS, 2, **rest)


def equal(found: Array, expected: Array) -> None:
    """Bit for bit."""
    np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))


@pytest.mark.parametrize("expected", [set[str](), {"turned"}, {"normed"}, {"normed", "turned"}])
def test_the_last_stage_is_what_enters_the_scores(
    array: Convert, rng: np.random.Generator, expected: set[str]
) -> None:
    norm = rms(array) if "normed" in expected else None
    rotary = ROTARY if "turned" in expected else None
    layer = layer_of(array, rng, query_norm=norm, key_norm=norm, rotary=rotary)
    x = array(drawn(rng, T, WIDTH))
    operands = layer.operands(x)
    for stages, final in (
        (layer.query_stages(x), operands.queries),
        (layer.key_stages(x), operands.keys),
    ):
        equal(stages.final, final)
        assert {name for name in ("normed", "turned") if getattr(stages, name) is not None} == expected


def test_each_stage_follows_from_the_one_before(array: Convert, rng: np.random.Generator) -> None:
    quarter = np.array([np.pi / 2])
    norm = rms(array)
    layer = layer_of(array, rng, query_norm=norm, rotary=Rotary(quarter, exact=lambda: quarter))
    x = drawn(rng, 2, WIDTH)
    found = layer.query_stages(array(x))
    plain = x @ to_numpy(layer.query.weight).T + to_numpy(layer.query.bias)
    np.testing.assert_allclose(to_numpy(found.plain)[1], plain[:, 6:12], rtol=1e-12)
    equal(found.normed, norm(found.plain))
    assert found.normed is not None
    before, after = to_numpy(found.normed)[:, 1], to_numpy(found.turned)[:, 1]
    np.testing.assert_allclose(after[:, 0], -before[:, 1], atol=1e-12)  # a quarter turn at position 1
    np.testing.assert_allclose(after[:, 1], before[:, 0], atol=1e-12)
    equal(after[:, 2:], before[:, 2:])


def test_a_norm_over_all_heads_sees_them_together(array: Convert, rng: np.random.Generator) -> None:
    x, norm = array(drawn(rng, T, WIDTH)), rms(array, WIDTH)
    layer = layer_of(array, rng, query_norm=norm, is_norm_whole=True)
    found = layer.query_stages(x)
    equal(found.plain, split(layer.query(x), HEADS))
    equal(found.normed, split(norm(layer.query(x)), HEADS))


def test_an_attention_gives_the_stages_of_its_own_input(array: Convert, rng: np.random.Generator) -> None:
    layer = layer_of(array, rng, rotary=ROTARY)
    x, memory = array(drawn(rng, T, WIDTH)), array(drawn(rng, S, WIDTH))
    for attention in (layer.attention(x), layer.attention(x, memory)):
        queries, keys = attention.query_stages(), attention.key_stages()
        assert queries is not None
        assert keys is not None
        equal(queries.final, attention.operands.queries)
        equal(keys.final, attention.operands.keys)


def test_the_layer_of_an_attention_computes_it_again(array: Convert, rng: np.random.Generator) -> None:
    layer, x = layer_of(array, rng, mask=masks.causal, rotary=ROTARY), array(drawn(rng, T, WIDTH))
    attention = layer.attention(x)
    assert attention.layer is layer
    equal(attention.layer.attention(attention.input).result(), attention.result())


def test_recorded_operands_have_no_layer(array: Convert, rng: np.random.Generator) -> None:
    each = array(drawn(rng, HEADS, T, 3))
    attention = Attention(None, Operands(each, each, each, 1.0), None)
    unknown = (attention.layer, attention.query_stages(), attention.key_stages(), attention.stream)
    assert unknown == (None,) * 4


def test_the_stages_of_chosen_rows_keep_their_positions(array: Convert, rng: np.random.Generator) -> None:
    layer, x = layer_of(array, rng, rotary=ROTARY), array(drawn(rng, T, WIDTH))
    whole = layer.attention(x)
    some = whole.at([1, 4, 5]).at([2, 1])
    assert some.rows == [5, 4]
    queries, keys = some.query_stages(), some.key_stages()
    assert queries is not None
    assert keys is not None
    exact = 1e-12  # float64; a product of fewer rows may be summed in another order
    found, expected = to_numpy(queries.final), to_numpy(whole.operands.queries)[:, [5, 4]]
    np.testing.assert_allclose(found, expected, rtol=exact, atol=exact)
    equal(keys.final, whole.operands.keys)


def test_rows_of_cross_attention_keep_the_memory(array: Convert, rng: np.random.Generator) -> None:
    x, memory = array(drawn(rng, T, WIDTH)), array(drawn(rng, S, WIDTH))
    attention = layer_of(array, rng).attention(x, memory).at([0])
    assert attention.memory is memory
    keys = attention.key_stages()
    assert keys is not None
    equal(keys.final, attention.operands.keys)


def test_the_stream_is_cut_to_the_rows_too(array: Convert, rng: np.random.Generator) -> None:
    x, stream = array(drawn(rng, T, WIDTH)), array(drawn(rng, T, WIDTH))
    attention = replace(layer_of(array, rng).attention(x), stream=stream)
    equal(attention.at([3, 1]).stream, stream[[3, 1]])
