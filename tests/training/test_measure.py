"""The figures of the model card: the model's loss, bigrams, and hand-made heads."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
import torch

from attn_cli.training import measure
from attn_cli.training.measure import bigram_nats, heads, nats_of, surprise
from attn_cli.vocabulary import Pattern
from tests.support.small_run import network

DRAW = np.random.default_rng(0)
TRAIN = np.r_[0, DRAW.integers(1, 12, 400)].astype(np.uint16)
HELD_OUT = DRAW.integers(1, 14, 60).astype(np.uint16)  # 12 and 13 were never seen
VOCABULARY = 20


def by_hand(ids: list[int], train: list[int], vocabulary: int) -> float:
    """Witten and Bell's bigrams, with dictionaries."""
    pairs = list(pairwise(train))
    together, after = Counter(pairs), defaultdict(set)
    for a, b in pairs:
        after[a].add(b)
    follows, singles = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    total = 0.0
    for a, b in zip([0, *ids], ids, strict=False):
        single = (singles[b] + 1) / (len(pairs) + vocabulary)
        kinds = len(after[a])
        share = (together[a, b] + kinds * single) / (follows[a] + kinds) if follows[a] else single
        total -= math.log(share)
    return total


@pytest.mark.parametrize("block", [7, 100, 1 << 22])
def test_bigrams_are_counted_as_by_hand(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_BLOCK", block)
    expected = by_hand(HELD_OUT.tolist(), TRAIN.tolist(), VOCABULARY)
    assert bigram_nats(HELD_OUT, TRAIN, VOCABULARY) == pytest.approx(expected, rel=1e-12)


def test_the_bigram_probabilities_sum_to_one() -> None:
    each = [
        bigram_nats(np.array([3, following], np.uint16), TRAIN, VOCABULARY) for following in range(VOCABULARY)
    ]
    first = bigram_nats(np.array([3], np.uint16), TRAIN, VOCABULARY)
    assert sum(math.exp(first - nats) for nats in each) == pytest.approx(1.0)


def test_a_text_within_one_context_costs_what_its_row_costs() -> None:
    ours = network()
    ids = np.arange(1, 17)
    row = torch.tensor([[0, *ids.tolist()]])
    assert nats_of(ours, ids) == pytest.approx(ours.losses(row).sum().item(), rel=1e-5)


def test_a_longer_text_is_predicted_from_at_least_half_a_context() -> None:
    ours = network()
    ids = DRAW.integers(1, 300, 48)
    with torch.no_grad():
        first = ours.losses(torch.tensor([[0, *ids[:32].tolist()]])).sum().item()
        rest = ours.losses(torch.tensor([[0, *ids[16:48].tolist()]]))[:, 16:].sum().item()
    assert nats_of(ours, ids) == pytest.approx(first + rest, rel=1e-5)


def test_bits_per_character_are_nats_over_the_text() -> None:
    ours = network()
    ids = np.arange(1, 17)
    found = surprise(ours, ids, np.r_[0, ids, ids], "x" * 40)
    assert found.model == pytest.approx(nats_of(ours, ids) / math.log(2) / 40)
    assert found.nats == pytest.approx(nats_of(ours, ids) / 16)
    assert (found.characters, found.tokens) == (40, 16)
    assert found.gzip == pytest.approx(8 * 23 / 40, abs=0.3)  # a header of 18 bytes and hardly anything


def test_a_hand_made_previous_token_head_is_found() -> None:
    """Its queries are the keys of the previous position, computed from positions only."""
    ours = network()
    tensors = ours.parameters.tensors
    with torch.no_grad():
        tensors["wte.weight"].mul_(1e-3)
        layer = torch.nn.functional.layer_norm(tensors["wpe.weight"], (16,)).numpy()
        back, *_ = np.linalg.lstsq(layer[1:], layer[:-1], rcond=1e-2)  # a place to the one before
        waves = [*range(4), *range(8, 12)]  # the four shortest, sine and cosine
        tensors["h.0.attn.c_attn.weight"][:, :8] = torch.from_numpy(back[:, waves] * 40)
        tensors["h.0.attn.c_attn.weight"][:, 16:24] = torch.eye(16)[:, waves]
    found = heads(ours, np.arange(1, 200), seed=0)
    first = next(head for head in found if (head.layer, head.head) == (0, 0))
    assert first.pattern is Pattern.PREVIOUS
    assert first.score > 0.8  # eight of its sixteen features encode the position
    assert {head.layer for head in found} == {0, 1}
