"""The fields of the JSON object of `attn effects`, and a record for each head."""

from collections.abc import Mapping

from attn_cli.answers.effects import (
    AblationEffects,
    DirectEffects,
    Effects,
    HeadChange,
    HeadPlace,
    LookEffect,
)
from attn_cli.answers.prediction import Prediction

_OF_CHANGES = ("logit", "probability", "divergence")


def effects_entry(effects: Effects) -> dict[str, object]:
    """The fields that stand beside those of every JSON object."""
    against, direct, ablation = effects.against, effects.direct, effects.ablation
    return {
        "position": effects.position,
        "predictions": [_prediction(effects, each) for each in effects.predictions],
        "target": _token(effects.target),
        "against": None if against is None else _token(against),
        "direct": None if direct is None else _direct(direct),
        **({"reason": effects.reason} if direct is None else {}),
        "ablation": None if ablation is None else _ablation(ablation),
        "edges": [_look(look) for look in effects.looks],
    }


def head_records(effects: Effects) -> dict[str, object]:
    """A record for each head, and the names of its numbers, for .csv and .npz."""
    direct = {} if effects.direct is None else effects.direct.heads
    changes = {} if effects.ablation is None else {each.head: each for each in effects.ablation.heads}
    metrics = [*(["effect"] if direct else []), *(_OF_CHANGES if changes else ())]
    records = [_record(effects, place, direct, changes) for place in effects.places]
    return {"metrics": metrics, "heads": records}


def _record(
    effects: Effects,
    place: HeadPlace,
    direct: Mapping[HeadPlace, float],
    changes: Mapping[HeadPlace, HeadChange],
) -> dict[str, object]:
    change, pattern = changes.get(place), effects.patterns.get(place)
    numbers: dict[str, object] = {"effect": direct[place]} if direct else {}
    if changes:
        numbers |= {name: None if change is None else getattr(change, name) for name in _OF_CHANGES}
    return _place(place) | {"pattern": None if pattern is None else str(pattern)} | numbers


def _place(place: HeadPlace) -> dict[str, object]:
    kind, layer, head = place
    return {"kind": str(kind), "layer": layer, "head": head}


def _token(token: Prediction) -> dict[str, object]:
    return {"id": token.id, "text": token.text, "logit": token.logit}


def _prediction(effects: Effects, token: Prediction) -> dict[str, object]:
    place = {"position": effects.position, "predicts": effects.position + effects.is_next}
    numbers = {"probability": token.probability, "actual": token.is_actual}
    return place | {"rank": token.rank} | _token(token) | numbers


def _direct(direct: DirectEffects) -> dict[str, object]:
    softcap = {} if direct.softcap is None else {"softcap": direct.softcap}
    return {
        "heads": [_place(place) | {"effect": effect} for place, effect in direct.heads.items()],
        "feed_forward": [{"layer": layer, "effect": effect} for layer, effect in direct.feed_forward.items()],
        "embedding": direct.embedding,
        "bias": direct.bias,
        "constant": direct.constant,
        "mean": direct.mean,
        "sum": direct.total,
        **softcap,
    }


def _look(look: LookEffect) -> dict[str, object]:
    return _place(look.head) | {"key": look.key, "weight": look.weight, "effect": look.effect}


def _ablation(ablation: AblationEffects) -> dict[str, object]:
    together = ablation.together
    return {
        "method": str(ablation.method),
        "replaced_by": ablation.replaced_by,
        "keeps_patterns": ablation.keeps_patterns,
        "heads": [_place(change.head) | _change(change) for change in ablation.heads],
        **({} if together is None else {"together": _change(together)}),
    }


def _change(change: HeadChange) -> dict[str, object]:
    return {name: getattr(change, name) for name in _OF_CHANGES}
