"""How the next token is chosen, compared with transformers' warpers of logits."""

import numpy as np
import pytest
import torch
import transformers

from attn_cli.models.generation.sampling import Sampling, likeliest, probabilities

LOGITS = np.random.default_rng(0).normal(0, 3, 50).astype(np.float32)
CLOSE = 1e-6  # transformers computes in float32


def test_of_equal_logits_the_first_is_taken() -> None:
    assert likeliest(np.array([1.0, 3.0, 3.0, 2.0])) == 1


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.9, 0.999, 1.0])
def test_probabilities_are_those_of_the_warpers(temperature: float, top_p: float) -> None:
    scores = torch.from_numpy(LOGITS)[None]
    ids = torch.zeros((1, 1), dtype=torch.int64)
    scores = transformers.TemperatureLogitsWarper(temperature)(ids, scores)
    if top_p < 1:
        scores = transformers.TopPLogitsWarper(top_p)(ids, scores)
    expected = torch.softmax(scores, -1)[0].numpy()
    found = probabilities(LOGITS, Sampling(temperature, top_p))
    np.testing.assert_allclose(found, expected, atol=CLOSE)
    assert (found > 0).sum() == (expected > 0).sum()


def test_a_very_low_temperature_leaves_the_likeliest() -> None:
    found = probabilities(LOGITS, Sampling(temperature=1e-300))
    assert found[likeliest(LOGITS)] == 1


def test_forbidden_tokens_are_not_drawn() -> None:
    logits = np.array([0.0, -np.inf, 1.0])
    draw = Sampling(temperature=5.0).chooser()
    assert {draw(logits) for _ in range(200)} == {0, 2}


def test_tokens_are_drawn_as_often_as_their_probabilities_say() -> None:
    sampling = Sampling(temperature=2.0, top_p=0.8, seed=3)
    draw, expected, count = sampling.chooser(), probabilities(LOGITS, sampling), 20_000
    found = np.bincount([draw(LOGITS) for _ in range(count)], minlength=len(LOGITS)) / count
    deviation = np.sqrt(expected * (1 - expected) / count)
    assert np.all(np.abs(found - expected) <= 5 * deviation)  # by chance once in two million numbers


def test_a_seed_says_which_tokens_are_drawn() -> None:
    def drawn(seed: int) -> list[int]:
        draw = Sampling(temperature=3.0, seed=seed).chooser()
        return [draw(LOGITS) for _ in range(20)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
