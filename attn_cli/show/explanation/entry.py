"""An explanation as the field `explain` of the JSON object."""

import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import Enum

import numpy as np

from attn_cli.answers.contrast import Contribution, KeyContrast, PairOfKeys
from attn_cli.answers.weight import Explanation, RowScores
from attn_cli.show.data import computed_scale


def explain_entry(explanation: Explanation, keys: Sequence[int]) -> dict[str, object]:
    """Every number of the explained weight, and the row of the given keys.

    What is not known is null; the logit of a masked key is null too.
    """
    scores, softmax, key = explanation.scores, explanation.softmax, explanation.key
    output = explanation.output
    return {
        "kind": explanation.kind,
        "layer": explanation.layer,
        "head": explanation.head,
        "kv_head": explanation.kv_head,
        "query": explanation.query,
        "key": key,
        **_score_fields(scores, key),
        "masked": explanation.is_hidden,
        "logit": _logit(explanation, key),
        "row": [_row_entry(explanation, one) for one in keys],
        "largest": None if softmax.powers is None else softmax.powers.largest,
        "total": None if softmax.powers is None else softmax.powers.total,
        "sink": _sink(explanation),
        "weight": softmax.weights[key],
        "context": explanation.context,
        "output": None if output is None else output.output,
    }


def _score_fields(scores: RowScores | None, key: int) -> dict[str, object]:
    names = ("scale", "features", "dot", "score", "softcapped", "bias")
    if scores is None:
        return dict.fromkeys(names)
    products = scores.query.astype(np.float64) * scores.keys[key].astype(np.float64)
    features = [
        {"feature": index, "query": query, "key": other, "product": float(product)}
        for index, (query, other, product) in enumerate(
            zip(scores.query, scores.keys[key], products, strict=True)
        )
    ]
    return {
        "scale": computed_scale(scores.scale, scores.scores),
        "features": features,
        "dot": scores.dots[key],
        "score": scores.scores[key],
        "softcapped": None if scores.softcap is None else scores.capped[key],
        "bias": None if scores.bias is None else scores.bias[key],
    }


def _row_entry(explanation: Explanation, key: int) -> dict[str, object]:
    powers = explanation.softmax.powers
    return {
        "key": key,
        "logit": _logit(explanation, key),
        "exponential": None if powers is None else powers.powers[key],
        "weight": explanation.softmax.weights[key],
    }


def _logit(explanation: Explanation, key: int) -> object:
    logits = explanation.softmax.logits
    return None if logits is None or not explanation.softmax.mask[key] else logits[key]


def _sink(explanation: Explanation) -> object:
    softmax = explanation.softmax
    if softmax.sink_logit is None:
        return None
    of_sink = None if softmax.powers is None else softmax.powers.of_sink
    return {"logit": softmax.sink_logit, "exponential": of_sink, "weight": softmax.sink_weight}


def contrast_entry(contrast: KeyContrast) -> dict[str, object]:
    """The contrast as the field `over` of the JSON document; a masked logit is null."""

    def pair(values: PairOfKeys) -> list[float | None]:
        return [one if math.isfinite(one) else None for one in (values.key, values.other)]

    return {
        "key": contrast.other,
        "scores": pair(contrast.scores),
        "softcapped": None if contrast.capped is None else pair(contrast.capped),
        "biases": {term.type.value: pair(term.values) for term in contrast.biases},
        "logits": pair(contrast.logits),
        "keys": [_contribution_entry(one) for one in contrast.keys_side.by_size],
        "queries": [_contribution_entry(one) for one in contrast.query_side.by_size],
    }


def _contribution_entry(contribution: Contribution) -> dict[str, object]:
    """A contribution as an object of the JSON document."""
    component = contribution.component
    return {
        "component": component.type.value,
        "kind": component.kind.value,
        "layer": component.layer,
        "head": component.head,
        "to_key": contribution.to_key,
        "to_over": contribution.to_other,
        "difference": contribution.value,
    }


def lesson_entry(name: str, study: object) -> dict[str, object]:
    """Every number of a lesson under its name; what is not finite, as the logit of a masked key, is null."""
    numbers = _plain(study)
    assert isinstance(numbers, dict), "a study is a record"
    return {"name": name, **numbers}


def _plain(value: object) -> object:
    """Records as objects, arrays and tuples as lists, everything else as it is."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name.lower()
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
