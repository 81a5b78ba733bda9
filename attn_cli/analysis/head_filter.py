"""Which of the heads at a glance a person wants to see, in what order, and which numbers of them first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attn_cli.analysis.conditions import Condition, Order, condition, order
from attn_cli.analysis.head_summary import Glance
from attn_cli.vocabulary import Metric


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed after `--where` and `--sort`; nothing where nothing was."""

    conditions: tuple[Condition, ...] = ()
    order: Order | None = None

    @property
    def metrics(self) -> Iterator[Metric]:
        """What is asked about: first what sorts, then what is a condition."""
        asked = (self.order, *self.conditions)
        return (each.metric for each in asked if each is not None and each.metric is not None)

    def met_by(self, heads: Sequence[Glance]) -> list[Glance]:
        """The heads that meet every condition, as they were given unless they are to be sorted."""
        met = [head for head in heads if all(each.holds(head.fields()) for each in self.conditions)]
        return met if self.order is None else _sorted(met, self.order)

    def listed(self, heads: Sequence[Glance], metric: Metric) -> list[Glance]:
        """The heads as a list begins: by `metric` where nobody said how, entropy from the sharpest on."""
        return _sorted(heads, self.order or Order(metric, is_rising=metric is Metric.ENTROPY))

    def columns(self, head: Glance, metric: Metric) -> list[Metric]:
        """All metrics of a head, those first that were asked about, then that of the map."""
        return list(dict.fromkeys((*self.metrics, metric, *head.metrics)))


def wish(where: Sequence[str], sort: str | None) -> Wish:
    """What the options say.

    Raises:
        UsageError: they say it wrongly.
    """
    return Wish(tuple(map(condition, where)), None if sort is None else order(sort))


def _sorted(heads: Sequence[Glance], wanted: Order) -> list[Glance]:
    return sorted(heads, key=lambda head: wanted.key(head.fields()))
