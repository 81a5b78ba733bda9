"""A reading's heads at a glance: what each does, in memory that grows with the text, not its square."""

from collections.abc import Collection, Sequence

import numpy as np

from attn_cli.analysis.choice import shown_pattern
from attn_cli.analysis.head_filter import Wish
from attn_cli.analysis.head_summary import Glance, glances
from attn_cli.analysis.metrics import Facts, measured, metrics_of, spelled
from attn_cli.core.arrays import to_numpy
from attn_cli.core.multihead import Attention
from attn_cli.core.streaming.stream import Text, Watch
from attn_cli.errors import UsageError
from attn_cli.models.source import Layer
from attn_cli.reading.default_head import are_special
from attn_cli.reading.memory import Work, check
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import check_finite, run_layers
from attn_cli.vocabulary import Kind, Metric, Pattern, Step

_judged = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # `check_finite` says it in words


@_judged
def measure_heads(reading: Reading, places: Sequence[Place], watch: Watch) -> list[Glance]:
    """What the heads at `places` do, in their order; layers after the last of them do not run.

    `watch` is told how many query rows of how many are done, over all layers.

    Raises:
        AttnError: the weights are damaged, a head's weights are not finite numbers, or memory is short.
    """
    kind, text = reading.kind, _text(reading)
    layers = sorted({layer for layer, _ in places})
    rows, keys = len(reading.texts.queries(kind)), len(reading.texts.keys(kind))
    work = Work(rows, keys, layers=1 + max(layers), measured=len(places))
    check(reading.source, work, "a shorter text, or fewer layers or heads")
    found: dict[Place, Glance] = {}
    for index, (layer, attention) in enumerate(run_layers(reading, layers)):
        heads = [head for at, head in places if at == layer]
        facts = _facts(
            attention, heads, metrics_of(kind), text, _from(index * rows, len(layers) * rows, watch)
        )
        for head, is_finite in zip(heads, facts.are_finite, strict=True):
            check_finite(bool(is_finite), f"weights of head {layer}.{head}")
        found |= {(layer, each.head): each for each in glances(facts, kind, layer, heads)}
    return [found[place] for place in places]


def map_metric(reading: Reading, metric: Metric | None, wished: Wish) -> Metric:
    """What the map shows: `metric`, or else induction where the text repeats itself, and entropy elsewhere.

    Raises:
        UsageError: it, or what is wished for, cannot be measured of this kind of attention.
    """
    kind, text = reading.kind, _text(reading)
    for each in filter(None, (metric, *wished.metrics)):
        if each not in metrics_of(kind):
            problem = f"{kind} attention has no {each}: it looks from one text at another"
            raise UsageError(problem, f"one of {', '.join(metrics_of(kind))}")
    if metric is not None:
        return metric
    repeats = text.ids is not None and shown_pattern(text.ids) is Pattern.INDUCTION
    return Metric.INDUCTION if repeats else Metric.ENTROPY


def _text(reading: Reading) -> Text:
    """What is known of the tokens that are looked at; whose they are, where they look at themselves."""
    keys = reading.texts.keys(reading.kind)
    is_own = reading.kind is not Kind.CROSS
    return Text(np.asarray([token.id for token in keys]) if is_own else None, are_special(keys))


def _facts(
    attention: Layer, heads: Sequence[int], metrics: Collection[Metric], text: Text, watch: Watch
) -> Facts:
    """The facts about some heads of a layer; from its matrices where it tells no more."""
    if isinstance(attention, Attention):
        operands = attention.operands
        chosen = operands if list(heads) == list(range(operands.heads)) else operands.select(heads)
        return measured(chosen, metrics, text, watch)
    weights = to_numpy(attention.steps(heads, {Step.WEIGHTS})[Step.WEIGHTS])
    facts = spelled(weights, to_numpy(attention.mask), metrics, text)
    watch(weights.shape[-2], weights.shape[-2])
    return facts


def _from(before: int, total: int, watch: Watch) -> Watch:
    """`watch`, told of one layer of several: `before` rows are done when it begins."""
    return lambda done, _: watch(before + done, total)
