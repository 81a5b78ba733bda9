"""Answers what a model predicts at a position, and what its heads do to that."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from attn_cli.answers.effects import (
    AblationEffects,
    DirectEffects,
    Effects,
    HeadPlace,
    KeptLooks,
    LookEffect,
)
from attn_cli.core.arrays import Exact, exact
from attn_cli.errors import AttnError, UsageError
from attn_cli.models.predictions import Attribution, HeadEffects, RunProgress
from attn_cli.reading.effects.direct import direct_effects, strongest_looks
from attn_cli.reading.effects.head_filter import EffectFilter
from attn_cli.reading.effects.switching import (
    COMPARED_AT_ONCE,
    Asked,
    Switching,
    changes_of,
    is_mean_by_position,
    replacements,
)
from attn_cli.reading.memory import check_run_fits
from attn_cli.reading.predictions import PlaceLogits, check_logits, largest
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import unwarned
from attn_cli.record import record
from attn_cli.vocabulary import AblationMethod, Pattern

_ALL = EffectFilter()
_Looks: TypeAlias = tuple[Sequence[LookEffect], KeptLooks | None]


@record(frozen=True, slots=True)
class Question:
    """What is asked of a text: a position, a token, and how heads are switched off, if they are."""

    position: int
    token: int | None = None  # None: the likeliest
    against: int | None = None  # None: less the mean of the vocabulary
    predictions: int = 5
    looks: int = 5
    heads: Sequence[HeadPlace] = ()  # that are listed, and switched off
    where: EffectFilter = _ALL  # which of them are listed
    together: Sequence[HeadPlace] = ()  # the heads that are also switched off at once, if they are several
    switching: Switching | None = None  # None: no head is
    keep: float | None = None  # the share of all looks that a graph keeps; None: there is none


@unwarned
def answer(
    reading: Reading,
    effects: HeadEffects,
    question: Question,
    patterns: Mapping[HeadPlace, Pattern],
    progress: RunProgress,
) -> Effects:
    """The predictions, the direct effects of all components, and what changes without heads.

    Direct effects that do not add up are left out, with the reason, if heads are switched off; else they are
    an error.

    Raises:
        AttnError: they do not add up, the weights are damaged, or a logit is not a finite number.
    """
    _check_memory(reading, effects, question)
    logits, attribution, reason = _logits(reading, effects, question)
    check_logits(reading, question.position, logits)
    token = int(logits.argmax()) if question.token is None else question.token
    if token == question.against:
        raise UsageError("--token and --against are the same token", "--against another one")
    direct, why = _direct(attribution, reason, token, question)
    ablation = _ablation(effects, question, Asked(question.position, token, question.against), progress)
    listed = question.where.select(question.heads, patterns, direct, ablation)
    looks, kept = ((), None) if direct is None else _looks(attribution, token, question, set(listed))
    predicts = question.position + effects.is_next
    expected = PlaceLogits(reading, predicts, logits)
    return Effects(
        question.position,
        effects.is_next,
        [expected.prediction(index) for index in largest(logits, question.predictions)],
        expected.prediction(token),
        None if question.against is None else expected.prediction(question.against),
        direct,
        why,
        looks,
        None if ablation is None else _of_heads(ablation, set(listed)),
        patterns,
        listed,
        kept,
    )


def _logits(
    reading: Reading, effects: HeadEffects, question: Question
) -> tuple[Exact, Attribution | None, str]:
    """(V,) the logits at the position, with their attribution, or why there is none."""
    try:
        attribution = effects.attribution(question.position)
    except AttnError as error:
        if question.switching is None:
            raise
        logits = reading.source.predictor(reading.texts).logits([question.position])[0]
        return exact(logits), None, error.problem
    return attribution.logits, attribution, ""


def _direct(
    attribution: Attribution | None, reason: str, token: int, question: Question
) -> tuple[DirectEffects | None, str]:
    """The direct effects, or why there are none."""
    if attribution is None:
        return None, reason
    try:
        return direct_effects(attribution, token, question.against), ""
    except AttnError as error:
        if question.switching is None:
            raise
        return None, error.problem


def _looks(
    attribution: Attribution | None, token: int, question: Question, listed: Collection[HeadPlace]
) -> _Looks:
    """The strongest looks of the listed heads, and those of a graph, if there is to be one."""
    assert attribution is not None, "direct effects came from it"
    all_looks = list(attribution.looks(token, question.against))
    strongest = strongest_looks(all_looks, question.looks, listed)
    if question.keep is None:
        return strongest, None
    from attn_cli.reading.graph.effects import kept_looks  # few answers are graphs

    return strongest, kept_looks(all_looks, question.keep, listed)


def _check_memory(reading: Reading, effects: HeadEffects, question: Question) -> None:
    """Check that the values of all layers, and the runs of a batch, fit into free memory.

    Raises:
        AttnError: they do not.
    """
    runs = 0 if question.switching is None else len(question.heads) + bool(question.together)
    kept = effects.numbers_held(runs, min(runs, COMPARED_AT_ONCE))
    check_run_fits(reading, kept, "a shorter text, or fewer heads: --heads")


def _ablation(
    effects: HeadEffects, question: Question, asked: Asked, progress: RunProgress
) -> AblationEffects | None:
    switching = question.switching
    if switching is None:
        return None
    by = replacements(effects, switching, [*question.heads, *question.together])
    variants = [[place] for place in question.heads]
    together = [list(question.together)] if len(question.together) > 1 else []
    changes = changes_of(effects, asked, [*variants, *together], by, switching, progress)
    return AblationEffects(
        switching.method,
        changes[: len(variants)],
        changes[-1] if together else None,
        question.together,
        _replaced_by(effects, switching),
        switching.keeps_patterns,
    )


def _of_heads(ablation: AblationEffects, heads: Collection[HeadPlace]) -> AblationEffects:
    """The same of these heads alone."""
    return replace(ablation, heads=[change for change in ablation.heads if change.head in heads])


def _replaced_by(effects: HeadEffects, switching: Switching) -> str:
    """What contexts are replaced by, as a phrase."""
    if switching.method is AblationMethod.ZERO:
        return "zeros"
    if switching.method is AblationMethod.RESAMPLE:
        return "those of the other text"
    texts = "the other text" if len(switching.others) == 1 else f"{len(switching.others):,} other texts"
    where = "position by position" if is_mean_by_position(effects, switching.others) else "over all positions"
    return f"their mean over {texts}, {where}"
