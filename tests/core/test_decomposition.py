"""Vectors as sums of parts: known answers, and that the parts of a map add up to the map of the whole."""

import numpy as np
import pytest

from attn_cli.core.arrays import Array
from attn_cli.core.decomposition import Component, Decomposition, written
from attn_cli.core.layers import LayerNorm, RmsNorm
from attn_cli.core.multihead import Linear
from attn_cli.vocabulary import ComponentType, Kind

TOKEN, PLACE = (Component(each, Kind.SELF) for each in (ComponentType.EMBEDDING, ComponentType.POSITION))
DRAW = np.random.default_rng(0)
GAIN, SHIFT = DRAW.normal(1, 0.3, 6), DRAW.normal(size=6)


def two_parts(*parts: Array) -> Decomposition:
    return written([TOKEN, PLACE], [np.array(part, dtype=np.float32) for part in parts])


def random_parts() -> Decomposition:
    return two_parts(*DRAW.normal(2, 3, (2, 4, 6)))


def test_a_layer_norm_centres_each_part_and_divides_by_the_deviation_of_the_whole() -> None:
    norm = LayerNorm(np.array([1.0, 10.0]), np.array([0.5, 0.0]), epsilon=0.0)
    found = two_parts([[1, 1]], [[6, 2]]).normed(norm)  # the whole is (7, 3): mean 5, deviation 2
    assert found.parts.tolist() == [[[0, 0]], [[1, -10]]]
    assert found.constant.tolist() == [[0.5, 0]]
    assert found.whole.tolist() == [[1.5, -10]]


def test_an_rms_norm_divides_each_part_by_the_whole() -> None:
    found = two_parts([[3, 0]], [[0, 4]]).normed(RmsNorm(np.array([1.0, 2.0]), epsilon=0.0))
    root = 12.5**0.5
    np.testing.assert_allclose(found.parts, [[[3 / root, 0]], [[0, 8 / root]]], rtol=1e-15)
    assert found.constant.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    "norm", [LayerNorm(GAIN, SHIFT, 1e-5), LayerNorm(GAIN, None, 1e-5), RmsNorm(GAIN, 0.1)]
)
def test_the_parts_of_a_normed_vector_add_up_to_the_norm_of_the_vector(norm: LayerNorm | RmsNorm) -> None:
    given = random_parts()
    np.testing.assert_allclose(given.normed(norm).total, norm(given.total), rtol=0, atol=1e-13)
    np.testing.assert_allclose(given.normed(norm).whole, norm(given.whole), rtol=0, atol=1e-13)


def test_statistics_are_those_of_the_vector_that_was_computed() -> None:
    given = two_parts([[3, 0]], [[0, 4]]).as_computed(np.array([[6.0, 8.0]]))
    assert given.normed(RmsNorm(np.ones(2), 0.0)).parts[0, 0, 0] == 3 / 50**0.5
    assert given.remainder.tolist() == [[3, 4]]


def test_the_bias_of_a_linear_layer_is_constant() -> None:
    linear = Linear(np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]), np.array([10.0, 20.0, 30.0]))
    found = two_parts([[1, 0]], [[0, 1]]).through(linear)
    assert found.parts.tolist() == [[[1, 0, 1]], [[2, 1, 0]]]
    assert found.constant.tolist() == [[10, 20, 30]]
    assert found.whole.tolist() == [[13, 21, 31]]


def test_a_constant_goes_through_what_follows() -> None:
    shifted = random_parts().shifted(SHIFT)
    linear = Linear(DRAW.normal(size=(3, 6)))
    np.testing.assert_allclose(shifted.through(linear).constant, np.tile(linear(SHIFT), (4, 1)), atol=1e-13)


def test_a_sum_has_the_components_of_both() -> None:
    one, other = random_parts(), written([Component(ComponentType.HEAD, Kind.SELF, 0, 3)], [np.ones((4, 6))])
    found = one.plus(other)
    assert found.components == (TOKEN, PLACE, Component(ComponentType.HEAD, Kind.SELF, 0, 3))
    np.testing.assert_allclose(found.whole, one.whole + 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.remainder, 0, atol=1e-14)


def test_vectors_and_features_are_chosen_in_the_given_order() -> None:
    given = random_parts()
    np.testing.assert_array_equal(given.at([3, 0]).parts, given.parts[:, [3, 0]])
    np.testing.assert_array_equal(given.at([3, 0]).whole, given.whole[[3, 0]])
    np.testing.assert_array_equal(given.features(slice(2, 4)).parts, given.parts[..., 2:4])
