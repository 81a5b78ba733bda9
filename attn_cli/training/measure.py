"""Evaluates a model: how well it predicts unseen text, beside bigrams and gzip, and what its heads do."""

import gzip
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from attn_cli.analysis.patterns import NEEDED, Tally, add_tallies, name_pattern, sort_shares, tally_patterns
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.models.native.transformer import Inputs
from attn_cli.record import record
from attn_cli.shares import PatternShare
from attn_cli.training.corpus import START, Ids, windows
from attn_cli.training.network import Network
from attn_cli.vocabulary import Pattern

_TEXTS = 16  # of each material, to score the heads
_GLANCE = 8  # texts, during training
_GLIMPSE = 32  # tokens per text, during training
_SHOWN = 3  # heads per pattern, during training
_PER_TOKEN = 3e-7  # seconds to count bigrams; compression takes less
_BLOCK = 1 << 22  # tokens counted at once


PROSE = "prose"
REPEATED_PROSE = "repeated prose"
RANDOM_REPEATS = "random repeats"

ScoredText: TypeAlias = tuple[npt.NDArray[np.int64], int]
"""The ids of a text (T,) and its first row that counts."""

Tallies: TypeAlias = dict[Pattern, Tally]
"""Of the heads of one layer, for each pattern."""


@record(frozen=True, slots=True)
class Surprise:
    """How well held-out text was predicted: bits per character, lower is better."""

    model: float
    bigram: float  # a bigram model of the same tokens
    gzip: float  # gzip -9 on the same text
    nats: float  # of the model, per token
    characters: int
    tokens: int

    @property
    def guesses(self) -> tuple[tuple[str, float], ...]:
        """The predictors and their bits per character."""
        return (
            ("this model", self.model),
            ("bigrams of the same tokens", self.bigram),
            ("gzip -9", self.gzip),
        )


@record(frozen=True, slots=True)
class HeadReport:
    """The scores of one head on each material."""

    layer: int
    head: int
    shares: Mapping[str, Mapping[Pattern, PatternShare]]  # by material; without those that no row could show

    @property
    def pattern(self) -> Pattern | None:
        """The pattern that the head is known for."""
        return name_pattern(self.shown)

    @property
    def score(self) -> float:
        """The score of that pattern; 0 if the head is known for none."""
        return 0.0 if self.pattern is None else self.shown[self.pattern]

    @property
    def shown(self) -> Mapping[Pattern, float]:
        """The score of each pattern: induction and duplicate tokens on random repeats, the rest on prose."""
        return {share.pattern: share.share for share in self._shown}

    @property
    def patterns(self) -> tuple[PatternShare, ...]:
        """The patterns with a share worth telling, the one that the head is known for first."""
        return sort_shares(self._shown)

    @property
    def scores(self) -> dict[str, dict[Pattern, float]]:
        """The score of each pattern on each material."""
        return {
            material: {pattern: share.share for pattern, share in shares.items()}
            for material, shares in self.shares.items()
        }

    @property
    def _shown(self) -> Sequence[PatternShare]:
        copying = (Pattern.INDUCTION, Pattern.DUPLICATE)
        prose, repeats = self.shares[PROSE], self.shares[RANDOM_REPEATS]
        shares = ((repeats if pattern in copying else prose).get(pattern) for pattern in Pattern)
        return [share for share in shares if share is not None]


def surprise(network: Network, held_out: Ids, train: Ids, text: str) -> Surprise:
    """The three predictions of the tokens `held_out`, whose text is `text`."""
    nats = nats_of(network, held_out)
    bits = math.log(2) * len(text)
    return Surprise(
        model=nats / bits,
        bigram=bigram_nats(held_out, train, network.spec.vocabulary) / bits,
        gzip=8 * len(gzip.compress(text.encode("utf-8"), 9)) / len(text),
        nats=nats / held_out.size,
        characters=len(text),
        tokens=held_out.size,
    )


def seconds_needed(network: Network, held_out: Ids, train: Ids) -> float:
    """The estimated duration of `surprise` and `heads`, extrapolated from one window and one text."""
    half = (network.context - 1) // 2
    row = np.resize(held_out, network.context).astype(np.int64)
    windows_left = max(1, 2 * held_out.size // network.context)
    texts = _TEXTS + sum(max(1, min(_TEXTS, held_out.size // max(size, 1))) for size in (half, 2 * half))
    window = _seconds_of(lambda: nats_of(network, row))
    text = _seconds_of(lambda: scored(network, [_once(row[1:])]))
    return windows_left * window + texts * text + _PER_TOKEN * (held_out.size + train.size)


def _seconds_of(work: Callable[[], object]) -> float:
    """How long `work` takes the second time, after a warm-up."""
    work()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def nats_of(network: Network, ids: Ids) -> float:
    """The model's total surprise at `ids`: windows overlap by half, and each token is counted once.

    Except in the first window, a token is predicted from at least half a context.
    """
    total = 0.0
    with torch.no_grad():
        for row, counted in windows(ids, network.context, network.context // 2):
            losses = network.losses(torch.from_numpy(row[None]).to(network.device))
            total += float(losses[:, -counted:].cpu().double().sum())
    return total


def bigram_nats(ids: Ids, train: Ids, vocabulary: int) -> float:
    """The surprise of a bigram model at `ids`; the first token follows `START`.

    Interpolated as in Witten and Bell 1991: p(b|a) = (c(ab) + n(a) · p(b)) / (c(a) + n(a)), where n(a) is
    the number of different tokens that follow a; p(b) = (c(b) + 1) / (N + V), where N is the number of pairs.
    """
    codes, counts = _pairs(train, vocabulary)
    first = codes // vocabulary
    follows = np.bincount(first, weights=counts, minlength=vocabulary)  # c(a)
    kinds = np.bincount(first, minlength=vocabulary)  # n(a)
    singles = np.bincount(codes % vocabulary, weights=counts, minlength=vocabulary) + 1.0
    before = np.concatenate([[START], ids[:-1]]).astype(np.int64)
    wanted = before * vocabulary + ids
    places = np.minimum(np.searchsorted(codes, wanted), codes.size - 1)
    together = np.where(codes[places] == wanted, counts[places], 0)
    single = singles[ids] / singles.sum()
    is_seen = follows[before] > 0
    shares = (together + kinds[before] * single) / np.where(is_seen, follows[before] + kinds[before], 1)
    return float(-np.log(np.where(is_seen, shares, single)).sum())


def _pairs(ids: Ids, vocabulary: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The pairs of adjacent tokens, as a · V + b in ascending order, and their counts."""
    codes, counts = np.empty(0, np.int64), np.empty(0, np.float64)
    for start in range(0, ids.size - 1, _BLOCK):
        block = np.asarray(ids[start : start + _BLOCK + 1], np.int64)
        block_codes, often = np.unique(block[:-1] * vocabulary + block[1:], return_counts=True)
        often = np.concatenate([counts, often.astype(np.float64)])
        codes, place = np.unique(np.concatenate([codes, block_codes]), return_inverse=True)
        counts = np.bincount(place, weights=often).astype(np.float64)
    return codes, counts


def growth(network: Network, held_out: Ids) -> dict[Pattern, list[tuple[int, int, float]]]:
    """Layer, head and score of the heads that best match the previous-token and the induction pattern.

    Measured on rows as short as those of early training, where patterns appear first.
    """
    size = min(_GLIMPSE, (network.context - 1) // 2)
    passages = list(_passages(held_out, size))[:_GLANCE]
    texts = {
        Pattern.PREVIOUS: [_once(passage) for passage in passages],
        Pattern.INDUCTION: [_twice(passage) for passage in passages],
    }
    return {pattern: _best(scored(network, rows), pattern) for pattern, rows in texts.items()}


def heads(network: Network, held_out: Ids, seed: int) -> list[HeadReport]:
    """The scores of every head on held-out prose, on repeated prose, and on repeated random tokens."""
    half = (network.context - 1) // 2
    draw = np.random.default_rng(seed)
    kinds = network.spec.vocabulary - 1  # without START
    random = [1 + draw.permutation(kinds)[:half] for _ in range(_TEXTS)]
    materials = {
        PROSE: scored(network, [_once(passage) for passage in _passages(held_out, network.context - 1)]),
        REPEATED_PROSE: scored(network, [_twice(passage) for passage in _passages(held_out, half)]),
        RANDOM_REPEATS: scored(network, [_twice(passage) for passage in random]),
    }
    return [
        HeadReport(layer, head, {name: _of(scores[layer], head) for name, scores in materials.items()})
        for layer in range(network.spec.layers)
        for head in range(network.spec.heads)
    ]


def scored(network: Network, texts: Iterable[ScoredText]) -> list[Tallies]:
    """The tallies of each layer over all `texts`."""
    tallies: list[dict[Pattern, list[Tally]]] = [{} for _ in range(network.spec.layers)]
    with torch.no_grad():
        for ids, first_row in texts:
            inputs = Inputs(torch.from_numpy(ids).to(network.device), ())
            for layer, attention in enumerate(network.transformer.attentions(inputs)):
                measured = attention.measure(range(attention.heads), NEEDED, KeyTokens(ids))
                for pattern, tally in tally_patterns(measured, first_row).items():
                    tallies[layer].setdefault(pattern, []).append(tally)
    return [{pattern: add_tallies(of_texts) for pattern, of_texts in layer.items()} for layer in tallies]


def _best(layers: Sequence[Tallies], pattern: Pattern) -> list[tuple[int, int, float]]:
    """Layer, head and score of the `_SHOWN` heads with the highest scores."""
    listed = [
        (layer, head, float(score))
        for layer, tallies in enumerate(layers)
        for head, score in enumerate(tallies[pattern].scores)
        if np.isfinite(score)
    ]
    return sorted(listed, key=lambda head: -head[2])[:_SHOWN]


def _of(tallies: Tallies, head: int) -> dict[Pattern, PatternShare]:
    """The shares of one head, without patterns that no row could show."""
    return {
        pattern: PatternShare(pattern, float(tally.scores[head]), tally.rows)
        for pattern, tally in tallies.items()
        if np.isfinite(tally.scores[head])
    }


def _passages(ids: Ids, size: int) -> Iterator[npt.NDArray[np.int64]]:
    """A few evenly spaced passages of `size` tokens; a single shorter one if there are not enough."""
    size = max(size, 1)
    count = max(1, min(_TEXTS, ids.size // size))
    for index in range(count):
        start = index * (ids.size // count)
        yield np.asarray(ids[start : start + size], np.int64)


def _once(passage: npt.NDArray[np.integer]) -> ScoredText:
    """`START` and the passage; all rows but the first count."""
    return np.concatenate([[START], passage]).astype(np.int64), 1


def _twice(passage: npt.NDArray[np.integer]) -> ScoredText:
    """`START` and the passage twice; the rows of the second copy count."""
    return np.concatenate([[START], passage, passage]).astype(np.int64), 1 + passage.size
