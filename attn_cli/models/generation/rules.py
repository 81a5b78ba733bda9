"""The rules of a checkpoint about the next token, applied to its logits.

They are the processors of transformers (`generation/logits_process.py`) in its order: what is forbidden gets
the logit -inf, and what is forced leaves -inf to all others.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from attn_cli.core.arrays import Floats
from attn_cli.models.generation.settings import GenerationSettings


def ruled(logits: Floats, settings: GenerationSettings, ids: Sequence[int], new: int, most: int) -> Floats:
    """(V,) the logits of the token after `ids`, `new` of which were generated, of at most `most`."""
    if settings.are_plain:
        return logits
    logits = logits.copy()
    if settings.repetition_penalty != 1.0:
        _penalise(logits, ids, settings.repetition_penalty)
    for forbidden in _forbidden(settings, ids, new):
        logits[[index for index in forbidden if index < len(logits)]] = -np.inf
    for forced in _forced(settings, len(ids), is_last=new + 1 == most):
        logits[:] = -np.inf
        logits[list(forced)] = 0
    late = (*settings.suppressed, *(settings.suppressed_first if _is_at_begin(settings, ids, new) else ()))
    logits[[index for index in late if index < len(logits)]] = -np.inf
    return logits


def _penalise(logits: Floats, ids: Sequence[int], penalty: float) -> None:
    """Divide the positive logits of tokens that appeared, and multiply the negative: arXiv:1909.05858."""
    seen = np.unique([index for index in ids if index < len(logits)])
    chosen = logits[seen]
    logits[seen] = np.where(
        chosen < 0, chosen * logits.dtype.type(penalty), chosen / logits.dtype.type(penalty)
    )


def _forbidden(settings: GenerationSettings, ids: Sequence[int], new: int) -> Iterator[Sequence[int]]:
    yield from _repeating(settings.longest_repeat, ids)
    for banned in settings.banned:
        *before, last = banned
        is_end = len(banned) == 1 and last in settings.ends
        if not is_end and list(ids[len(ids) - len(before) :]) == before:
            yield [last]
    if len(ids) < settings.fewest or new < settings.fewest_new:
        yield settings.ends


def _repeating(size: int, ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The tokens that would repeat a sequence of this size; none for size 0."""
    if not size or len(ids) + 1 < size:
        return
    ending = list(ids[len(ids) + 1 - size :])
    yield [
        ids[start + size - 1]
        for start in range(len(ids) + 1 - size)
        if list(ids[start : start + size - 1]) == ending
    ]


def _forced(settings: GenerationSettings, length: int, *, is_last: bool) -> Iterator[Sequence[int]]:
    if settings.forced_first is not None and length == 1:
        yield [settings.forced_first]
    if settings.forced_last and is_last:
        yield settings.forced_last


def _is_at_begin(settings: GenerationSettings, ids: Sequence[int], new: int) -> bool:
    """Whether it is the first token that is free: after the forced one, if there is one."""
    is_forced = len(ids) - new <= 1 and settings.forced_first is not None
    return new == (1 if is_forced else 0)
