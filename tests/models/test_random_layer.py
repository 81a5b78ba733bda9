"""The random layer: the same numbers for the same seed, and words at their positions."""

import math

import numpy as np
import pytest

from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.random_layer import open_random_layer, sinusoids, vectors, words
from attn_cli.models.source import Card, SourceRequest, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.vocabulary import DType, Kind
from tests.support.reference import NUMPY, TORCH, Numbers, weights_of

TEXT = "The cat saw the cat."


def weights(seed: int, backend: Backend = NUMPY, text: str = TEXT, *, is_causal: bool = False) -> Numbers:
    """(H, T, S) of a random layer."""
    request = SourceRequest(width=16, heads=4, seed=seed, is_causal=is_causal)
    source = open_random_layer(request, backend)
    (attention,) = source.attentions(Texts(source.tokens(text, None)), Kind.SELF, [0])
    return weights_of(attention)


def test_the_same_seed_gives_the_same_numbers_and_another_others() -> None:
    np.testing.assert_array_equal(weights(1), weights(1))
    assert np.abs(weights(1) - weights(2)).max() > 0.1


def test_a_seed_gives_fixed_numbers() -> None:
    assert weights(0)[0, 0, 0] == pytest.approx(0.048855, abs=1e-6)  # the digits given here


def test_both_libraries_compute_the_same_layer() -> None:
    np.testing.assert_allclose(weights(0, TORCH), weights(0), atol=1e-6)  # weights up to 1: a few roundings
    exact = weights(0, choose_backend("cpu", DType.FLOAT64))
    assert exact.dtype == np.float64
    np.testing.assert_allclose(weights(0), exact, atol=1e-6)  # as above


def test_the_layer_is_causal_on_request() -> None:
    seen = weights(0, is_causal=True)
    assert (np.triu(seen, 1) == 0).all()
    np.testing.assert_allclose(seen.sum(-1), 1, atol=1e-6)  # float32 sums of at most 6 numbers
    assert (weights(0) > 0).all()


def test_a_random_layer_describes_itself() -> None:
    source = open_random_layer(SourceRequest(width=16), NUMPY)
    assert source.card == Card("random", "random", 1, 4, 4, 4, 16)
    assert (source.takes_pairs, source.is_causal, source.longest, source.is_bounded) == (False,) * 2 + (
        None,
        False,
    )
    assert len(list(source.attentions(Texts(source.tokens("a b", None)), Kind.SELF, [0]))) == 1


def test_indivisible_features_are_an_error() -> None:
    with pytest.raises(AttnError) as caught:
        open_random_layer(SourceRequest(width=16, heads=3), NUMPY)
    assert caught.value.problem == "16 features cannot be divided evenly among 3 heads"


def test_a_word_has_the_same_vector_everywhere() -> None:
    found = vectors(words("cat dog cat"), 8, 0)
    np.testing.assert_array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 0.1
    np.testing.assert_array_equal(found[1], vectors(words("dog"), 8, 0)[0])
    assert np.abs(found[0] - vectors(words("cat"), 8, 1)[0]).max() > 0.1


def test_the_features_of_a_word_have_mean_0_and_variance_1() -> None:
    found = vectors(words("cat"), 100_000, 0)
    assert abs(found.mean()) < 0.02  # six standard errors, 1/√100000 each
    assert abs(found.var() - 1) < 0.03  # six of √(2/100000)


@pytest.mark.parametrize("width", [1, 6, 7])
def test_positions_are_the_sinusoids_of_the_paper(width: int) -> None:
    expected = np.zeros((5, width))
    for place in range(5):
        for feature in range(width):
            angle = place / 10000 ** (2 * (feature // 2) / width)
            expected[place, feature] = math.cos(angle) if feature % 2 else math.sin(angle)
    np.testing.assert_allclose(sinusoids(5, width), expected, atol=1e-14)  # float64, angles up to 4


def test_words_and_punctuation_have_their_places_in_the_text() -> None:
    found = words("Don’t stop,  the cat's—日本!")
    assert [token.text for token in found] == ["Don’t", "stop", ",", "the", "cat's", "—", "日本", "!"]
    text = "Don’t stop,  the cat's—日本!"
    assert [text[token.start : token.end] for token in found] == [token.text for token in found]
    assert [token.position for token in found] == list(range(8))


def test_ids_number_the_distinct_words() -> None:
    assert [token.id for token in words("a b a c b")] == [0, 1, 0, 2, 1]
    assert words("a")[0] == Token(0, 0, "a", "a", 0, 1, special=False, segment=0)
    assert words("") == words(" \n ") == ()
