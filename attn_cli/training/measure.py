"""What a model is worth on text that it has not seen, beside two that know less; what its heads do."""

import gzip
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from attn_cli.analysis.patterns import Tally, added, named, tallies
from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import trace
from attn_cli.models.transformer import Inputs
from attn_cli.training.corpus import START, Ids, windows
from attn_cli.training.network import Network
from attn_cli.vocabulary import Pattern

_TEXTS = 16  # of each material, for the heads
_GLANCE = 4  # texts, while it learns
_SHOWN = 3  # heads of each pattern, while it learns
_BLOCK = 1 << 22  # tokens counted at once


@dataclass(frozen=True, slots=True)
class Surprise:
    """How well held-out text was guessed: bits a character, the smaller the better."""

    model: float
    bigram: float  # a table of which token follows which, over the same tokens
    gzip: float  # gzip -9 over the same text
    nats: float  # the model's, a token
    characters: int
    tokens: int


@dataclass(frozen=True, slots=True)
class HeadReport:
    """What one head does: its scores on each material, and the name it earns."""

    layer: int
    head: int
    pattern: Pattern | None
    scores: Mapping[str, Mapping[Pattern, float]]  # by material; without what was possible nowhere

    @property
    def score(self) -> float:
        """How clearly it does what it is known for; 0 where it is known for nothing."""
        return 0.0 if self.pattern is None else self.telling[self.pattern]

    @property
    def telling(self) -> Mapping[Pattern, float]:
        """Each pattern's score where it shows: copies in random repeats, the rest in prose."""
        copying = (Pattern.INDUCTION, Pattern.DUPLICATE)
        return {
            pattern: self.scores[RANDOM_REPEATS if pattern in copying else PROSE].get(pattern, 0.0)
            for pattern in Pattern
        }


PROSE = "prose"
REPEATED_PROSE = "repeated prose"
RANDOM_REPEATS = "random repeats"


def surprise(network: Network, held_out: Ids, train: Ids, text: str) -> Surprise:
    """The three guesses at the tokens `held_out`, which spell `text`."""
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


def nats_of(network: Network, ids: Ids) -> float:
    """The model's surprise at all of `ids`: windows that overlap by half, each token counted once.

    But for the first window a token is guessed from at least half a context.
    """
    total = 0.0
    with torch.no_grad():
        for row, counted in windows(ids, network.context, network.context // 2):
            losses = network.losses(torch.from_numpy(row[None]).to(network.device))
            total += float(losses[:, -counted:].double().sum())
    return total


def bigram_nats(ids: Ids, train: Ids, vocabulary: int) -> float:
    """The surprise of a bigram table at `ids`, the first after `START`.

    Interpolated as Witten and Bell 1991: p(b|a) = (c(ab) + n(a) · p(b)) / (c(a) + n(a)), n(a) how many
    different tokens follow a; p(b) = (c(b) + 1) / (N + V).
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
    known = follows[before] > 0
    shares = (together + kinds[before] * single) / np.where(known, follows[before] + kinds[before], 1)
    return float(-np.log(np.where(known, shares, single)).sum())


def _pairs(ids: Ids, vocabulary: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Which pairs of neighbours there are, a · V + b in ascending order, and how often each."""
    codes, counts = np.empty(0, np.int64), np.empty(0, np.float64)
    for start in range(0, ids.size - 1, _BLOCK):
        block = np.asarray(ids[start : start + _BLOCK + 1], np.int64)
        found, often = np.unique(block[:-1] * vocabulary + block[1:], return_counts=True)
        often = np.concatenate([counts, often.astype(np.float64)])
        codes, place = np.unique(np.concatenate([codes, found]), return_inverse=True)
        counts = np.bincount(place, weights=often).astype(np.float64)
    return codes, counts


def growth(network: Network, held_out: Ids) -> str:
    """The heads that are nearest to a previous-token and to an induction head, with their scores."""
    size = (network.context - 1) // 2
    passages = list(_passages(held_out, size))[:_GLANCE]
    found = []
    for pattern, texts, first_row in (
        (Pattern.PREVIOUS, [np.concatenate([[START], part]) for part in passages], lambda _size: 1),
        (Pattern.INDUCTION, [_twice(part) for part in passages], _second_half),
    ):
        scores = np.stack([layer[pattern] for layer in scored(network, texts, first_row)])  # (L, H)
        best = np.argsort(-scores, axis=None)[:_SHOWN]
        places = zip(*np.unravel_index(best, scores.shape), strict=True)
        found.append(
            " ".join([pattern, *(f"{layer}.{head} {scores[layer, head]:.2f}" for layer, head in places)])
        )
    return " · ".join(found)


def heads(network: Network, held_out: Ids, seed: int) -> list[HeadReport]:
    """What every head does on held-out prose, on passages of it that stand twice, on random tokens twice."""
    prose = [np.concatenate([[START], part]) for part in _passages(held_out, network.context - 1)]
    half = (network.context - 1) // 2
    repeated = [_twice(part) for part in _passages(held_out, half)]
    draw = np.random.default_rng(seed)
    size = min(half, network.spec.vocabulary - 1)
    random = [_twice(1 + draw.permutation(network.spec.vocabulary - 1)[:size]) for _ in range(_TEXTS)]
    materials = {
        PROSE: scored(network, prose, lambda _size: 1),
        REPEATED_PROSE: scored(network, repeated, _second_half),
        RANDOM_REPEATS: scored(network, random, _second_half),
    }
    return [
        _report(layer, head, {name: scores[layer] for name, scores in materials.items()})
        for layer in range(network.spec.layers)
        for head in range(network.spec.heads)
    ]


def scored(
    network: Network, texts: list[npt.NDArray[np.int64]], first_row: Callable[[int], int]
) -> list[dict[Pattern, npt.NDArray[np.floating]]]:
    """For each layer and pattern the scores (H,) over all `texts`."""
    found: list[dict[Pattern, list[Tally]]] = [{} for _ in range(network.spec.layers)]
    with torch.no_grad():
        for ids in texts:
            inputs = Inputs(torch.from_numpy(ids).to(network.device), ())
            for layer, attention in enumerate(network.transformer.attentions(inputs)):
                weights = to_numpy(trace(attention.operands).weights)
                for pattern, tally in tallies(weights, ids, first_row(ids.size)).items():
                    found[layer].setdefault(pattern, []).append(tally)
    return [{pattern: added(each).scores for pattern, each in layer.items()} for layer in found]


def _report(
    layer: int, head: int, materials: Mapping[str, Mapping[Pattern, npt.NDArray[np.floating]]]
) -> HeadReport:
    scores = {
        name: {
            pattern: float(values[head]) for pattern, values in of_layer.items() if np.isfinite(values[head])
        }
        for name, of_layer in materials.items()
    }
    unnamed = HeadReport(layer, head, None, scores)
    return HeadReport(layer, head, named(unnamed.telling), scores)


def _passages(ids: Ids, size: int) -> Iterator[npt.NDArray[np.int64]]:
    """A few passages of `size` tokens, spread evenly; one that is shorter where there are no more."""
    count = max(1, min(_TEXTS, ids.size // size))
    for index in range(count):
        start = index * (ids.size // count)
        yield np.asarray(ids[start : start + size], np.int64)


def _twice(passage: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    return np.concatenate([[START], passage, passage]).astype(np.int64)


def _second_half(size: int) -> int:
    """The row at which a text of this size, `START` and a passage twice, begins to repeat itself."""
    return 1 + size // 2
