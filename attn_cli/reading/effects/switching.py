"""Switches heads off: by zeros (Michel et al. 2019), by a mean (Wang et al. 2022), or by another text's."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from attn_cli.answers.effects import HeadChange, HeadPlace
from attn_cli.core.arrays import Exact, Floats, exact, to_numpy
from attn_cli.models.predictions import HeadEffects, Predictor, RunProgress, SwitchedHead
from attn_cli.reading.predictions import log_softmax
from attn_cli.reading.steps import check_finite
from attn_cli.record import record
from attn_cli.vocabulary import AblationMethod

COMPARED_AT_ONCE = 64  # runs whose logits are held

Contexts = Mapping[HeadPlace, Floats]
"""What each head's contexts are replaced by: (T, D), or (D,) at every position."""


@record(frozen=True, slots=True)
class Switching:
    """How heads are switched off."""

    method: AblationMethod
    rows: Sequence[int] | None = None  # the positions; None: all
    others: Sequence[HeadEffects] = ()  # the texts that means or samples come from
    keeps_patterns: bool = False


@record(frozen=True, slots=True)
class Asked:
    """The prediction that is looked at."""

    position: int
    token: int
    against: int | None = None


def replacements(effects: HeadEffects, switching: Switching, places: Sequence[HeadPlace]) -> Contexts:
    """What the contexts of the heads are replaced by.

    Raises:
        AttnError: the weights are damaged.
        UsageError: another text has another number of tokens.
    """
    if switching.method is AblationMethod.ZERO:
        return dict.fromkeys(places, np.zeros(effects.head_size, np.float32))
    wanted = set(places)
    if switching.method is AblationMethod.RESAMPLE:
        (other,) = switching.others
        return {place: contexts for place, contexts in _contexts(other) if place in wanted}
    return _means(effects, switching.others, wanted)


def is_mean_by_position(effects: HeadEffects, others: Sequence[HeadEffects]) -> bool:
    """Whether means are taken position by position: all texts have as many tokens as the one that is read."""
    return len(others) > 1 and all(other.length == effects.length for other in others)


def _means(effects: HeadEffects, others: Sequence[HeadEffects], wanted: set[HeadPlace]) -> Contexts:
    by_position = is_mean_by_position(effects, others)
    totals, count = dict[HeadPlace, Exact](), 0
    for other in others:
        count += 1 if by_position else other.length
        for place, contexts in _contexts(other):
            if place in wanted:
                added = contexts.astype(np.float64) if by_position else contexts.sum(axis=0, dtype=np.float64)
                totals[place] = totals.get(place, 0) + added
    return {place: total / count for place, total in totals.items()}


def _contexts(text: HeadEffects) -> Iterator[tuple[HeadPlace, Floats]]:
    for kind, layer, contexts in text.contexts():
        for head, of_head in enumerate(to_numpy(contexts)):
            yield (kind, layer, head), of_head


def changes_of(
    effects: HeadEffects,
    asked: Asked,
    variants: Sequence[Sequence[HeadPlace]],
    by: Contexts,
    switching: Switching,
    progress: RunProgress,
) -> list[HeadChange]:
    """What changes in each variant, in their order; each is named by the first of its heads.

    Raises:
        AttnError: the weights are damaged, or a logit is not a finite number.
    """
    if not variants:
        return []
    switched = [
        [SwitchedHead(*place, by[place], switching.rows) for place in variant] for variant in variants
    ]
    keeps = switching.keeps_patterns
    runs = effects.ablated(switched, asked.position, progress, keeps_patterns=keeps)
    clean = exact(runs.logits([0])[0])
    measures = _Measures(asked, clean)
    blocks = (
        range(start, min(start + COMPARED_AT_ONCE, len(variants)))
        for start in range(0, len(variants), COMPARED_AT_ONCE)
    )
    changes = list[HeadChange]()
    for block in blocks:
        for index, logits in zip(block, _logits(runs, block), strict=True):
            kind, layer, head = variants[index][0]
            finite = not bool(np.isnan(logits).any() or (logits == np.inf).any())
            check_finite(finite, f"logits without {kind} head {layer}.{head}")
            changes.append(measures.change(variants[index][0], logits))
    return changes


def _logits(runs: Predictor, block: range) -> Exact:
    return exact(runs.logits([index + 1 for index in block]))


class _Measures:
    """Compares runs with the clean one."""

    def __init__(self, asked: Asked, clean: Exact) -> None:
        self._asked, self._clean = asked, clean
        self._log, self._shares = log_softmax(clean), np.exp(log_softmax(clean))

    def change(self, head: HeadPlace, logits: Exact) -> HeadChange:
        log = log_softmax(logits)
        token = self._asked.token
        return HeadChange(
            head,
            self._read(logits) - self._read(self._clean),
            float(np.exp(log[token]) - self._shares[token]),
            self._divergence(log),
        )

    def _divergence(self, log: Exact) -> float:
        """KL(clean ‖ ablated) in nats; a token that the clean run excludes counts nothing."""
        possible = self._shares > 0
        return float((self._shares[possible] * (self._log - log)[possible]).sum())

    def _read(self, logits: Exact) -> float:
        against = self._asked.against
        return float(logits[self._asked.token] - (0.0 if against is None else logits[against]))
