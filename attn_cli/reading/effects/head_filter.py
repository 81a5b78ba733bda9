"""Which heads `attn effects` lists: `--where "direct>1"`, `--where pattern=induction`."""

from collections.abc import Collection, Mapping, Sequence

from attn_cli.analysis.head_filter import Condition, ConditionFields, HeadFields, parse_condition
from attn_cli.answers.effects import AblationEffects, DirectEffects, HeadChange, HeadPlace
from attn_cli.errors import UsageError
from attn_cli.record import record
from attn_cli.vocabulary import Pattern

DIRECT, LOGIT, PROBABILITY, DIVERGENCE = "direct", "logit", "probability", "KL"
_LAYER, _HEAD, _PATTERN = "layer", "head", "pattern"
_OF_ABLATION = (LOGIT, PROBABILITY, DIVERGENCE)
_OF_EFFECTS = ConditionFields(
    (DIRECT, *_OF_ABLATION, _LAYER, _HEAD), '--where "direct>1", "KL>=0.1" or "pattern=induction"'
)


@record(frozen=True, slots=True)
class EffectFilter:
    """The conditions of `--where`, all of which a listed head meets."""

    conditions: Sequence[Condition] = ()

    @property
    def needs_patterns(self) -> bool:
        """Whether a condition is about the patterns that heads are known for."""
        return any(term.name == _PATTERN for term in self.conditions)

    def before_runs(
        self, places: Sequence[HeadPlace], patterns: Mapping[HeadPlace, Pattern]
    ) -> list[HeadPlace]:
        """The heads that meet the conditions that say nothing of effects: no others need be switched off."""
        known = [term for term in self.conditions if term.name not in {DIRECT, *_OF_ABLATION}]
        return [place for place in places if _meets(known, _place_fields(place, patterns))]

    def select(
        self,
        places: Sequence[HeadPlace],
        patterns: Mapping[HeadPlace, Pattern],
        direct: DirectEffects | None,
        ablation: AblationEffects | None,
    ) -> list[HeadPlace]:
        """The heads that meet all conditions.

        Raises:
            UsageError: a condition is about direct effects, and there are none.
        """
        if direct is None and any(term.name == DIRECT for term in self.conditions):
            problem = f"--where is about {DIRECT} effects, and this model has none that add up to its logits"
            raise UsageError(problem, '--where "logit<0"')
        effects = {} if direct is None else direct.heads
        changes = {} if ablation is None else {each.head: each for each in ablation.heads}

        def fields(place: HeadPlace) -> HeadFields:
            of_change = _change_fields(changes[place]) if place in changes else {}
            return {**_place_fields(place, patterns), DIRECT: effects.get(place), **of_change}

        return [place for place in places if _meets(self.conditions, fields(place))]


def parse_effect_filter(where: Collection[str], *, is_ablated: bool) -> EffectFilter:
    """Parse the values of `--where`.

    Raises:
        UsageError: one is malformed, or about what changes without a head if none is switched off.
    """
    conditions = [parse_condition(text, _OF_EFFECTS) for text in where]
    for text, condition in zip(where, conditions, strict=True):
        if condition.name in _OF_ABLATION and not is_ablated:
            problem = f"--where '{text}' is about what changes without a head, and none is switched off"
            raise UsageError(problem, "--ablate zero")
    return EffectFilter(conditions)


def _place_fields(place: HeadPlace, patterns: Mapping[HeadPlace, Pattern]) -> HeadFields:
    _, layer, head = place
    pattern = patterns.get(place)
    return {_LAYER: layer, _HEAD: head, _PATTERN: None if pattern is None else str(pattern)}


def _change_fields(change: HeadChange) -> HeadFields:
    return {LOGIT: change.logit, PROBABILITY: change.probability, DIVERGENCE: change.divergence}


def _meets(conditions: Sequence[Condition], head: HeadFields) -> bool:
    return all(term.holds(head) for term in conditions)
