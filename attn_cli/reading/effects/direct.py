"""Direct effects: what each head and feed-forward block adds to a logit, and with which keys.

Direct logit attribution, Elhage et al. 2021: the logit is a sum over the components of the residual stream.
"""

from collections.abc import Collection, Iterable

import numpy as np

from attn_cli.answers.effects import DirectEffects, HeadPlace, LookEffect
from attn_cli.models.predictions import Attribution, Looks
from attn_cli.vocabulary import ComponentType

_EMBEDDINGS = {ComponentType.EMBEDDING, ComponentType.POSITION, ComponentType.SEGMENT}


def direct_effects(attribution: Attribution, token: int, against: int | None) -> DirectEffects:
    """The effects on a token's logit, less another's, or less the mean logit of the vocabulary.

    Raises:
        AttnError: the language head is not linear.
    """
    parts = attribution.parts(token, against)
    heads, feed_forward = dict[HeadPlace, float](), dict[int, float]()
    embedding, bias = 0.0, 0.0
    for component, number in zip(parts.components, parts.effects, strict=True):
        effect = float(number)
        if component.layer is not None and component.head is not None:
            heads[component.kind, component.layer, component.head] = effect
        elif component.layer is not None and component.type is ComponentType.FEED_FORWARD:
            feed_forward[component.layer] = effect
        elif component.type in _EMBEDDINGS:
            embedding += effect
        else:
            bias += effect
    logits = attribution.uncapped_logits
    mean = float(logits.mean()) if against is None else 0.0
    expected = float(logits[token] - (0.0 if against is None else logits[against]))
    of_biases = (bias, parts.constant)
    return DirectEffects(heads, feed_forward, embedding, *of_biases, mean, expected, attribution.softcap)


def strongest_looks(layers: Iterable[Looks], count: int, heads: Collection[HeadPlace]) -> list[LookEffect]:
    """The looks of these heads with the largest effects, whatever their sign."""
    found = list[LookEffect]()
    for looks in layers:
        chosen = [(looks.kind, looks.layer, head) in heads for head in range(looks.effects.shape[0])]
        flat = np.where(np.asarray(chosen)[:, None], np.abs(looks.effects), -1.0).ravel()
        best = [index for index in np.argsort(-flat, kind="stable")[:count] if flat[index] >= 0]
        for index in best:
            head, key = divmod(int(index), looks.effects.shape[1])
            place = (looks.kind, looks.layer, head)
            weight, effect = float(looks.weights[head, key]), float(looks.effects[head, key])
            found.append(LookEffect(place, key, weight, effect))
    return sorted(found, key=lambda look: -abs(look.effect))[:count]
