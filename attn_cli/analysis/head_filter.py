"""Filters and sorts heads: `--where "entropy<1"`, `--sort -distance`."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, TypeAlias

from attn_cli.analysis.head_summary import HeadSummary
from attn_cli.errors import UsageError
from attn_cli.record import record
from attn_cli.spelling import nearest
from attn_cli.vocabulary import Metric, Pattern

HeadFields: TypeAlias = Mapping[str, object]
"""A head as named fields: its layer, its metrics, its pattern."""

NO_PATTERN = "none"

_RESTING = 0.5  # the weight on a learned sink, beyond which a head is not sharp however low its entropy
_PATTERN = "pattern"
_PLACE = ("layer", "head")
_SCORE = "score"
_NUMBERS = (*Metric, _SCORE)
_SHAPE = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|!=|==|=|<|>)\s*([^\s<>=!]+)\s*")
_EXAMPLE = '--where "entropy<1", "induction>=0.4" or "pattern=induction"'


@record(frozen=True, slots=True)
class ConditionFields:
    """The numbers of a head that conditions can be about, and examples of conditions."""

    numbers: Sequence[str]
    examples: str


_OF_METRICS = ConditionFields((*_NUMBERS, *_PLACE), _EXAMPLE)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_EQUALITIES = {"=", "==", "!="}


@record(frozen=True, slots=True)
class Condition:
    """A condition a head must meet to be listed."""

    name: str
    operator: str
    value: float | str | None  # a pattern's name, or None for no pattern

    @property
    def metric(self) -> Metric | None:
        """The metric in the condition; None if it is about something else."""
        return Metric(self.name) if self.name in set(Metric) else None

    def holds(self, head: HeadFields) -> bool:
        """Whether the head meets the condition; a metric without a value meets none."""
        value = head[self.name]
        if value is None and self.name != _PATTERN:
            return False
        return _OPERATORS[self.operator](value, self.value)


@record(frozen=True, slots=True)
class SortOrder:
    """What heads are sorted by, and whether the largest or the smallest come first."""

    name: str
    is_rising: bool = False

    @property
    def metric(self) -> Metric | None:
        """The metric; None for the pattern's score."""
        return None if self.name == _SCORE else Metric(self.name)

    def key(self, head: HeadFields) -> tuple[bool, float]:
        """The sort key of a head; heads without a value come last."""
        value = head[self.name]
        number = value if isinstance(value, int | float) else 0.0
        return value is None, number if self.is_rising else -number


@record(frozen=True, slots=True)
class HeadFilter:
    """The conditions of `--where` and the order of `--sort`."""

    conditions: tuple[Condition, ...] = ()
    order: SortOrder | None = None

    @property
    def metrics(self) -> Iterator[Metric]:
        """The metrics mentioned: first that of the order, then those of the conditions."""
        terms = (self.order, *self.conditions)
        return (term.metric for term in terms if term is not None and term.metric is not None)

    @property
    def needs_names(self) -> bool:
        """Whether a condition or the order is about the patterns of heads."""
        terms = (self.order, *self.conditions)
        return any(term is not None and term.name in {_PATTERN, _SCORE} for term in terms)

    def select(self, heads: Sequence[HeadSummary]) -> list[HeadSummary]:
        """The heads that meet every condition, sorted if there is an order."""
        met = [head for head in heads if all(term.holds(head.fields()) for term in self.conditions)]
        return met if self.order is None else _sorted(met, self.order)

    def rank(self, heads: Sequence[HeadSummary], metric: Metric) -> list[HeadSummary]:
        """The heads sorted for a list: by default by `metric`, largest first, but entropy smallest first.

        A head that gives most of its weight to a learned sink or to hidden keys is not sharp: by entropy it
        comes last.
        """
        if self.order is not None or metric is not Metric.ENTROPY:
            return _sorted(heads, self.order or SortOrder(metric))
        by_entropy = _sorted(heads, SortOrder(metric, is_rising=True))
        return sorted(by_entropy, key=rests_on_sink)

    def columns(self, head: HeadSummary, metric: Metric) -> list[Metric]:
        """All metrics of a head: first those in the conditions and the order, then that of the map.

        What a head writes is followed by the first token's share of it, and by its weight.
        """
        beside = (Metric.WRITTEN, Metric.WRITTEN_FIRST, Metric.FIRST) if metric.is_written else ()
        return list(dict.fromkeys((*self.metrics, metric, *beside, *head.metrics)))


def rests_on_sink(head: HeadSummary) -> bool:
    """Whether a learned sink and hidden keys take more than half of the head's weight.

    Rows without them are not in question: they are divided by what is left.
    """
    taken = sum(head.metrics.get(metric) or 0.0 for metric in (Metric.SINK, Metric.HIDDEN))
    return taken > _RESTING and not head.is_renormalized


def parse_head_filter(where: Sequence[str], sort: str | None) -> HeadFilter:
    """Parse the values of `--where` and `--sort`.

    Raises:
        UsageError: one of them is malformed.
    """
    return HeadFilter(tuple(map(parse_condition, where)), None if sort is None else parse_sort_order(sort))


def parse_condition(text: str, fields: ConditionFields = _OF_METRICS) -> Condition:
    """Parse a condition: a name, a comparison, a value.

    Raises:
        UsageError: it is malformed.
    """
    matched = _SHAPE.fullmatch(text)
    if matched is None:
        raise UsageError(f"'{text}' is not a condition", fields.examples)
    name, sign, value = matched.groups()
    if name == _PATTERN:
        return Condition(name, sign, _parse_pattern(text, sign, value))
    if name not in fields.numbers:
        names = (*fields.numbers, _PATTERN)
        near = nearest(name, names)
        hint = f"one of {', '.join(names)}" if near is None else f'--where "{near}{sign}{value}"'
        raise UsageError(f"unknown field '{name}' in '{text}'", hint)
    return Condition(name, sign, _parse_number(text, value, fields.examples))


def parse_sort_order(text: str) -> SortOrder:
    """Parse what to sort by: a metric or `score`, the largest first; with a leading `-` the smallest.

    Raises:
        UsageError: there is no such metric.
    """
    name = text.removeprefix("-")
    if name not in set(_NUMBERS):
        near = nearest(name, _NUMBERS)
        all_names = f"--sort {', '.join(_NUMBERS)}, or -NAME"
        hint = all_names if near is None else f"--sort {'-' if name != text else ''}{near}"
        raise UsageError(f"heads cannot be sorted by '{text}'", hint)
    return SortOrder(name, is_rising=text.startswith("-"))


def _parse_pattern(text: str, sign: str, value: str) -> str | None:
    if sign not in _EQUALITIES:
        raise UsageError(f"patterns have no order: '{text}'", '--where "pattern=broad"')
    if value != NO_PATTERN and value not in set(Pattern):
        names = (*Pattern, NO_PATTERN)
        near = nearest(value, names)
        hint = f"one of {', '.join(names)}" if near is None else f'--where "pattern{sign}{near}"'
        raise UsageError(f"unknown pattern '{value}' in '{text}'", hint)
    return None if value == NO_PATTERN else value


def _parse_number(text: str, value: str, examples: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise UsageError(f"'{value}' in '{text}' is not a number", examples)
    return number


def _sorted(heads: Sequence[HeadSummary], order: SortOrder) -> list[HeadSummary]:
    return sorted(heads, key=lambda head: order.key(head.fields()))
