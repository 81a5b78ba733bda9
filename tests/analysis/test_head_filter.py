"""Conditions on heads, and the errors for invalid ones."""

from collections.abc import Mapping

import pytest

from attn_cli.analysis.head_filter import Condition, parse_condition, parse_head_filter
from attn_cli.analysis.head_summary import HeadSummary
from attn_cli.errors import UsageError
from attn_cli.vocabulary import Kind, Metric, Pattern

KNOWN = ", ".join((*Metric, "score", "layer", "head", "pattern"))
EXAMPLE = '--where "entropy<1", "induction>=0.4" or "pattern=induction"'


def head(number: int, pattern: Pattern | None = None, **metrics: float | None) -> HeadSummary:
    """Head `number` of layer 2."""
    found: Mapping[Metric, float | None] = {
        Metric(name.replace("_", "-")): each for name, each in metrics.items()
    }
    return HeadSummary(Kind.SELF, 2, number, found, pattern, None if pattern is None else 0.5)


SHARP = head(0, Pattern.PREVIOUS, entropy=0.25, induction=0.0)
EVEN = head(1, Pattern.BROAD, entropy=3.0, induction=0.1)
COPYING = head(2, Pattern.INDUCTION, entropy=1.0, induction=0.9)
NEITHER = head(3, None, entropy=2.0, induction=None)
HEADS = [SHARP, EVEN, COPYING, NEITHER]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("entropy<1", Condition("entropy", "<", 1.0)),
        (" previous-token >= .5 ", Condition("previous-token", ">=", 0.5)),
        ("pattern==broad", Condition("pattern", "==", "broad")),
        ("pattern!=none", Condition("pattern", "!=", None)),
        ("score>-1e-3", Condition("score", ">", -0.001)),
    ],
)
def test_a_condition_is_a_name_a_comparison_and_a_value(text: str, found: Condition) -> None:
    assert parse_condition(text) == found


@pytest.mark.parametrize(
    ("where", "met"),
    [
        (["entropy<1"], [SHARP]),
        (["entropy<=1"], [SHARP, COPYING]),
        (["entropy>1", "entropy<3"], [NEITHER]),
        (["entropy!=1"], [SHARP, EVEN, NEITHER]),
        (["pattern=induction"], [COPYING]),
        (["pattern!=induction"], [SHARP, EVEN, NEITHER]),
        (["pattern=none"], [NEITHER]),
        (["head>=2", "layer=2"], [COPYING, NEITHER]),
        (["layer>2"], []),
    ],
)
def test_listed_heads_meet_all_conditions(where: list[str], met: list[HeadSummary]) -> None:
    assert parse_head_filter(where, None).select(HEADS) == met


@pytest.mark.parametrize("sign", ["<", ">=", "!="])
def test_a_metric_without_a_value_meets_no_condition(sign: str) -> None:
    assert NEITHER not in parse_head_filter([f"induction{sign}0.5"], None).select(HEADS)


@pytest.mark.parametrize(
    ("sort", "heads"),
    [
        ("entropy", [EVEN, NEITHER, COPYING, SHARP]),
        ("-entropy", [SHARP, COPYING, NEITHER, EVEN]),
        ("induction", [COPYING, EVEN, SHARP, NEITHER]),
        ("-induction", [SHARP, EVEN, COPYING, NEITHER]),
        ("score", [SHARP, EVEN, COPYING, NEITHER]),
    ],
)
def test_heads_without_a_value_come_last_in_either_order(sort: str, heads: list[HeadSummary]) -> None:
    assert parse_head_filter([], sort).select(HEADS) == heads


def test_by_default_the_clearest_heads_come_first() -> None:
    assert parse_head_filter([], None).rank(HEADS, Metric.INDUCTION)[0] is COPYING
    assert parse_head_filter([], None).rank(HEADS, Metric.ENTROPY)[0] is SHARP
    assert parse_head_filter([], None).select(HEADS) == HEADS


def test_by_entropy_heads_whose_sink_takes_more_than_half_come_last_unless_an_order_is_given() -> None:
    resting, half, sharp = (head(n, entropy=n / 4, sink=share) for n, share in enumerate((0.51, 0.5, None)))
    heads = [resting, half, sharp]
    assert parse_head_filter([], None).rank(heads, Metric.ENTROPY) == [half, sharp, resting]
    assert parse_head_filter([], "-entropy").rank(heads, Metric.ENTROPY) == heads


def test_requested_metrics_come_first() -> None:
    one = head(0, entropy=1.0, largest=1.0, distance=1.0, induction=1.0, received=1.0)
    asked = parse_head_filter(["received>0", "layer=2"], "-distance")
    assert asked.columns(one, Metric.INDUCTION) == [
        Metric.DISTANCE,
        Metric.RECEIVED,
        Metric.INDUCTION,
        Metric.ENTROPY,
        Metric.LARGEST,
    ]


@pytest.mark.parametrize(
    ("where", "problem", "hint"),
    [
        ("entropy", "'entropy' is not a condition", EXAMPLE),
        ("entropy<", "'entropy<' is not a condition", EXAMPLE),
        ("entropy<1<2", "'entropy<1<2' is not a condition", EXAMPLE),
        ("entropi<1", "unknown field 'entropi' in 'entropi<1'", '--where "entropy<1"'),
        ("beauty<1", "unknown field 'beauty' in 'beauty<1'", f"one of {KNOWN}"),
        (
            "pattern=inducton",
            "unknown pattern 'inducton' in 'pattern=inducton'",
            '--where "pattern=induction"',
        ),
        ("entropy<one", "'one' in 'entropy<one' is not a number", EXAMPLE),
        ("entropy<nan", "'nan' in 'entropy<nan' is not a number", EXAMPLE),
        (
            "pattern<broad",
            "patterns have no order: 'pattern<broad'",
            '--where "pattern=broad"',
        ),
        ("pattern=wide", "unknown pattern 'wide' in 'pattern=wide'", f"one of {', '.join(Pattern)}, none"),
    ],
)
def test_an_invalid_condition_is_an_error(where: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_head_filter([where], None)
    assert (raised.value.problem, raised.value.hint) == (problem, hint)


def test_an_unknown_sort_key_is_an_error() -> None:
    with pytest.raises(UsageError) as raised:
        parse_head_filter([], "--pattern")
    hint = f"--sort {', '.join(Metric)}, score, or -NAME"
    assert (raised.value.problem, raised.value.hint) == ("heads cannot be sorted by '--pattern'", hint)


@pytest.mark.parametrize(("sort", "hint"), [("entropi", "--sort entropy"), ("-distanc", "--sort -distance")])
def test_a_mistyped_metric_gets_a_suggestion(sort: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_head_filter([], sort)
    assert raised.value.hint == hint
