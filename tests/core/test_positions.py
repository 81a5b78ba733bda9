"""Rotary positions: known rotations, and the functions of transformers."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.models.gptj import modeling_gptj
from transformers.models.llama import modeling_llama

from attn_cli.core.arrays import to_numpy
from attn_cli.core.positions import Rotary, rotate
from tests.support.libraries import Convert

SIZE = 16
FREQUENCIES = (10000.0 ** -(np.arange(0, SIZE, 2) / SIZE)).astype(np.float32)
QUARTER = np.array([math.pi / 2], dtype=np.float32)


def turned(array: Convert, x: npt.ArrayLike, rotary: Rotary) -> npt.NDArray[np.float32]:
    return to_numpy(rotate(array(np.asarray(x, dtype=np.float32)), rotary))


def drawn(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.float32]:
    return rng.normal(size=shape).astype(np.float32)


def test_each_position_rotates_by_another_quarter(array: Convert) -> None:
    found = turned(array, [[[1, 0]] * 5], Rotary(QUARTER))
    np.testing.assert_allclose(found, [[[1, 0], [0, 1], [-1, 0], [0, -1], [1, 0]]], atol=1e-6)  # π in float32


def test_the_features_of_a_pair_are_half_a_head_apart(array: Convert) -> None:
    still = np.array([math.pi / 2, 0], dtype=np.float32)
    found = turned(array, [[[1, 2, 3, 4]] * 2], Rotary(still))
    np.testing.assert_allclose(found[0, 1], [-3, 2, 1, 4], atol=1e-6)  # π in float32


def test_the_features_of_a_pair_are_adjacent_if_interleaved(array: Convert) -> None:
    still = np.array([math.pi / 2, 0], dtype=np.float32)
    found = turned(array, [[[1, 2, 3, 4]] * 2], Rotary(still, interleaved=True))
    np.testing.assert_allclose(found[0, 1], [-2, 1, 3, 4], atol=1e-6)  # π in float32


@pytest.mark.parametrize("interleaved", [False, True])
def test_features_after_the_rotary_ones_are_unchanged(array: Convert, *, interleaved: bool) -> None:
    found = turned(array, [[[1, 2, 3, 4, 5]] * 2], Rotary(QUARTER, gain=2.0, interleaved=interleaved))
    np.testing.assert_allclose(found[0, 1], [-4, 2, 3, 4, 5], atol=1e-6)  # π in float32


@pytest.mark.parametrize("gain", [1.0, 1.3])
def test_pairs_half_a_head_apart_rotate_as_in_llama(
    array: Convert, rng: np.random.Generator, gain: float
) -> None:
    x = drawn(rng, 3, 40, SIZE)
    embedding = modeling_llama.LlamaRotaryEmbedding(LlamaConfig(head_dim=SIZE))
    cosine, sine = embedding(torch.zeros(1), torch.arange(40)[None])
    theirs, _ = modeling_llama.apply_rotary_pos_emb(
        torch.tensor(x)[None], torch.tensor(x)[None], gain * cosine, gain * sine
    )
    found = turned(array, x, Rotary(embedding.inv_freq.numpy(), gain=gain))
    np.testing.assert_allclose(found, theirs[0].numpy(), atol=1e-5)  # angles up to 40 in float32


def test_adjacent_pairs_rotate_as_in_gpt_j(array: Convert, rng: np.random.Generator) -> None:
    x = drawn(rng, 3, 40, SIZE)
    sine, cosine = modeling_gptj.create_sinusoidal_positions(40, SIZE)[None].chunk(2, dim=-1)
    theirs = modeling_gptj.apply_rotary_pos_emb(torch.tensor(x).movedim(0, 1)[None], sine, cosine)
    found = turned(array, x, Rotary(FREQUENCIES, interleaved=True))
    np.testing.assert_allclose(
        found, theirs[0].movedim(0, 1).numpy(), atol=1e-5
    )  # angles up to 40 in float32


@pytest.mark.parametrize("interleaved", [False, True])
@given(seed=st.integers(0, 99))
def test_a_score_depends_on_the_relative_position(array: Convert, seed: int, *, interleaved: bool) -> None:
    query, key = drawn(np.random.default_rng(seed), 2, 1, 1, SIZE)
    rotary = Rotary(FREQUENCIES, interleaved=interleaved)
    queries, keys = (turned(array, np.repeat(one, 12, axis=1), rotary)[0] for one in (query, key))
    scores = queries @ keys.T
    np.testing.assert_allclose(scores[1:, 1:], scores[:-1, :-1], atol=1e-4)  # 16 products of float32
    assert np.ptp(scores[0]) > 1e-3


def test_the_first_token_is_not_rotated(array: Convert, rng: np.random.Generator) -> None:
    x = drawn(rng, 2, 3, SIZE)
    np.testing.assert_array_equal(turned(array, x, Rotary(FREQUENCIES))[:, 0], x[:, 0])


def test_rotation_keeps_the_norm(array: Convert, rng: np.random.Generator) -> None:
    x = drawn(rng, 2, 30, SIZE)
    found = turned(array, x, Rotary(FREQUENCIES))
    before, after = np.linalg.norm(x, axis=-1), np.linalg.norm(found, axis=-1)
    np.testing.assert_allclose(after, before, rtol=1e-5)  # float32


def test_a_batch_is_rotated_member_by_member(array: Convert, rng: np.random.Generator) -> None:
    x, rotary = drawn(rng, 5, 2, 3, SIZE), Rotary(FREQUENCIES)
    np.testing.assert_array_equal(turned(array, x, rotary), [turned(array, one, rotary) for one in x])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_angles_are_float32_for_any_dtype(dtype: torch.dtype) -> None:
    places, ones = 3001, torch.tensor([1, 0], dtype=dtype)  # bfloat16 has no 3000
    found = rotate(ones.expand(1, places, 2), Rotary(np.array([0.01], dtype=np.float32)))
    assert found.dtype == dtype
    angle = np.float32(3000) * np.float32(0.01)
    expected = [math.cos(angle), math.sin(angle)]
    reach = max(torch.finfo(dtype).eps, 2**-22)  # one rounding; an angle of 30 has a step of 2^-19
    np.testing.assert_allclose(to_numpy(found)[0, -1], expected, atol=reach)


def test_frequencies_may_be_arrays_of_either_library(array: Convert) -> None:
    x = array(np.ones((1, 4, 2), dtype=np.float32))
    one, other = (to_numpy(rotate(x, Rotary(each))) for each in (QUARTER, array(QUARTER)))
    np.testing.assert_array_equal(one, other)


def test_the_turn_of_a_position_by_hand(array: Convert) -> None:
    rotary = Rotary(np.array([math.pi / 2, math.pi / 3], dtype=np.float32), gain=2.0)
    cosine, sine = rotary.turn(array(np.asarray([0, 1])), array(np.zeros(1, dtype=np.float32)))
    np.testing.assert_allclose(to_numpy(cosine), [[2.0, 2.0], [0.0, 1.0]], atol=1e-6)  # π in float32
    np.testing.assert_allclose(to_numpy(sine), [[0.0, 0.0], [2.0, 3**0.5]], atol=1e-6)


@pytest.mark.parametrize("interleaved", [False, True])
def test_each_feature_is_turned_with_the_other_of_its_pair(
    array: Convert, rng: np.random.Generator, *, interleaved: bool
) -> None:
    rotary = Rotary(FREQUENCIES[:6], gain=1.3, interleaved=interleaved)
    x = drawn(rng, 2, 5, SIZE)
    cosine, sine = (to_numpy(each) for each in rotary.turn(array(np.arange(5)), array(x)))
    found = turned(array, x, rotary)
    for feature in range(SIZE):
        pair = rotary.pair_of(feature)
        if pair is None:
            assert feature >= 12
            np.testing.assert_array_equal(found[..., feature], x[..., feature])
            continue
        first, second, number = pair
        assert feature in (first, second)
        c, s = cosine[:, number], sine[:, number]
        np.testing.assert_array_equal(found[..., first], x[..., first] * c - x[..., second] * s)
        np.testing.assert_array_equal(found[..., second], x[..., second] * c + x[..., first] * s)


def test_pairs_are_adjacent_or_half_of_what_turns_apart() -> None:
    adjacent, apart = (Rotary(FREQUENCIES[:3], interleaved=one) for one in (True, False))
    assert [adjacent.pair_of(feature) for feature in (0, 5, 6)] == [(0, 1, 0), (4, 5, 2), None]
    assert [apart.pair_of(feature) for feature in (0, 5, 6)] == [(0, 3, 0), (2, 5, 2), None]


def test_chosen_positions_turn_as_among_all(array: Convert, rng: np.random.Generator) -> None:
    x, rotary = array(drawn(rng, 2, 6, SIZE)), Rotary(FREQUENCIES)
    some = rotate(x[:, [4, 1]], rotary, [4, 1])
    np.testing.assert_array_equal(to_numpy(some), to_numpy(rotate(x, rotary))[:, [4, 1]])
