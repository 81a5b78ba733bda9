"""Which heads are listed, and in what order: `--where "entropy<1"`, `--sort -distance`."""

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
"""A head by the words of a file: its layer, its metrics, its pattern."""

NO_PATTERN = "none"

_PATTERN = "pattern"
_PLACE = ("layer", "head")
_SCORE = "score"
_NUMBERS = (*Metric, _SCORE)
_SHAPE = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|!=|==|=|<|>)\s*([^\s<>=!]+)\s*")
_EXAMPLE = '--where "entropy<1", "induction>=0.4" or "pattern=induction"'
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
    """What a head must be to be listed."""

    name: str
    operator: str
    value: float | str | None  # a pattern's name, or None for no pattern

    @property
    def metric(self) -> Metric | None:
        """The metric that it asks for; None where it asks for something else."""
        return Metric(self.name) if self.name in set(Metric) else None

    def holds(self, head: HeadFields) -> bool:
        """Whether the head is such a one; a metric without a value meets no condition."""
        value = head[self.name]
        if value is None and self.name != _PATTERN:
            return False
        return _OPERATORS[self.operator](value, self.value)


@record(frozen=True, slots=True)
class SortOrder:
    """By what heads are listed, the largest first or the smallest."""

    name: str
    is_rising: bool = False

    @property
    def metric(self) -> Metric | None:
        """The metric; None for the pattern's score."""
        return None if self.name == _SCORE else Metric(self.name)

    def key(self, head: HeadFields) -> tuple[bool, float]:
        """What sorts the heads upwards; those without a value come last."""
        value = head[self.name]
        number = value if isinstance(value, int | float) else 0.0
        return value is None, number if self.is_rising else -number


@record(frozen=True, slots=True)
class HeadFilter:
    """What was typed after `--where` and `--sort`; nothing where nothing was."""

    conditions: tuple[Condition, ...] = ()
    order: SortOrder | None = None

    @property
    def metrics(self) -> Iterator[Metric]:
        """What is asked about: first what sorts, then what is a condition."""
        terms = (self.order, *self.conditions)
        return (term.metric for term in terms if term is not None and term.metric is not None)

    def select(self, heads: Sequence[HeadSummary]) -> list[HeadSummary]:
        """The heads that meet every condition, as they were given unless they are to be sorted."""
        met = [head for head in heads if all(term.holds(head.fields()) for term in self.conditions)]
        return met if self.order is None else _sorted(met, self.order)

    def rank(self, heads: Sequence[HeadSummary], metric: Metric) -> list[HeadSummary]:
        """The heads as a list begins: by `metric` where nobody said how, entropy from the sharpest on."""
        return _sorted(heads, self.order or SortOrder(metric, is_rising=metric is Metric.ENTROPY))

    def columns(self, head: HeadSummary, metric: Metric) -> list[Metric]:
        """All metrics of a head, those first that were asked about, then that of the map."""
        return list(dict.fromkeys((*self.metrics, metric, *head.metrics)))


def parse_head_filter(where: Sequence[str], sort: str | None) -> HeadFilter:
    """What the options say.

    Raises:
        UsageError: they say it wrongly.
    """
    return HeadFilter(tuple(map(parse_condition, where)), None if sort is None else parse_sort_order(sort))


def parse_condition(text: str) -> Condition:
    """What `text` asks for: a name, a comparison, a value.

    Raises:
        UsageError: it is malformed.
    """
    matched = _SHAPE.fullmatch(text)
    if matched is None:
        raise UsageError(f"'{text}' is no condition", _EXAMPLE)
    name, sign, value = matched.groups()
    if name == _PATTERN:
        return Condition(name, sign, _parse_pattern(text, sign, value))
    if name not in {*_NUMBERS, *_PLACE}:
        names = (*_NUMBERS, *_PLACE, _PATTERN)
        near = nearest(name, names)
        hint = f"one of {', '.join(names)}" if near is None else f'--where "{near}{sign}{value}"'
        raise UsageError(f"'{name}' in '{text}' is not known of a head", hint)
    return Condition(name, sign, _parse_number(text, value))


def parse_sort_order(text: str) -> SortOrder:
    """What `text` sorts by: a metric or `score`, the largest first; with `-` before it the smallest.

    Raises:
        UsageError: there is no such metric.
    """
    name = text.removeprefix("-")
    if name not in set(_NUMBERS):
        near = nearest(name, _NUMBERS)
        all_names = f"--sort {', '.join(_NUMBERS)}, or -NAME"
        hint = all_names if near is None else f"--sort {'-' if name != text else ''}{near}"
        raise UsageError(f"heads are not sorted by '{text}'", hint)
    return SortOrder(name, is_rising=text.startswith("-"))


def _parse_pattern(text: str, sign: str, value: str) -> str | None:
    if sign not in _EQUALITIES:
        raise UsageError(f"a pattern is not more or less than another: '{text}'", '--where "pattern=broad"')
    if value != NO_PATTERN and value not in set(Pattern):
        problem, names = f"'{value}' in '{text}' is no pattern", (*Pattern, NO_PATTERN)
        near = nearest(value, names)
        hint = f"one of {', '.join(names)}" if near is None else f'--where "pattern{sign}{near}"'
        raise UsageError(problem, hint)
    return None if value == NO_PATTERN else value


def _parse_number(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise UsageError(f"'{value}' in '{text}' is no number", _EXAMPLE)
    return number


def _sorted(heads: Sequence[HeadSummary], order: SortOrder) -> list[HeadSummary]:
    return sorted(heads, key=lambda head: order.key(head.fields()))
