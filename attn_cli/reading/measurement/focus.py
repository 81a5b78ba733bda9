"""Which queries the metrics of heads are means over, and which keys `Metric.ON` is the weight on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attn_cli.analysis.head_summary import HeadSummary
from attn_cli.core.hiding import Hiding
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.errors import UsageError
from attn_cli.reading.reading import Reading
from attn_cli.reading.token_selection.items import quoted
from attn_cli.record import record
from attn_cli.vocabulary import Metric


@record(frozen=True, slots=True)
class Focus:
    """The chosen queries and keys of a text, as positions in ascending order; None: none were chosen."""

    rows: tuple[int, ...] | None = None
    on: tuple[int, ...] | None = None

    def tokens(self, of_keys: KeyTokens) -> KeyTokens:
        """The tokens, with what was chosen of them."""
        rows = None if self.rows is None else np.asarray(self.rows, np.int64)
        on = None if self.on is None else np.isin(np.arange(_count(of_keys)), self.on)
        return replace(of_keys, rows=rows, on=on)


WHOLE_TEXT = Focus()
"""Every query; no keys were chosen."""


def choose_focus(reading: Reading, rows: str | None, on: str | None, hiding: Hiding | None = None) -> Focus:
    """The queries and keys that the selections name.

    Raises:
        UsageError: a selection is malformed or out of range, or every chosen key is hidden.
    """
    queries = None if rows is None else reading.select_queries(rows)
    keys = None if on is None else reading.select_keys(on, "key", "--on")
    if keys is not None and hiding is not None and set(keys) <= set(hiding.keys):
        problem = f"--on {quoted(on or '')} has no key in sight: --hide hides {_all(keys)}"
        raise UsageError(problem, "other keys, or leave out --hide")
    return Focus(queries, keys)


def check_looks(heads: Sequence[HeadSummary], focus: Focus) -> None:
    """Check that the chosen queries may look at a key, and at one of the chosen keys, in some head.

    Raises:
        UsageError: they may not.
    """
    if focus.rows is not None and _has_no(Metric.ENTROPY, heads):
        problem = f"{_queries(focus)} may look at no key that is in sight"
        raise UsageError(problem, "other --rows, or leave out --hide")
    if focus.on is not None and _has_no(Metric.ON, heads):
        problem = f"{_queries(focus)} may look at no key of --on: the mask hides {_all(focus.on)}"
        raise UsageError(problem, _that_look(focus))


def _has_no(metric: Metric, heads: Sequence[HeadSummary]) -> bool:
    return all(head.metrics.get(metric) is None for head in heads)


def _queries(focus: Focus) -> str:
    if focus.rows is None:
        return "the queries of this text"
    return "the query of --rows" if len(focus.rows) == 1 else f"the {len(focus.rows):,} queries of --rows"


def _all(keys: Sequence[int]) -> str:
    return f"key {keys[0]}" if len(keys) == 1 else f"all {len(keys):,} of them"


def _that_look(focus: Focus) -> str:
    """Queries that may look at the first of the chosen keys: it and those after it, if the mask is causal."""
    assert focus.on is not None, "checked by the caller"
    return f"--rows {focus.on[0]}-, or other keys"


def _count(tokens: KeyTokens) -> int:
    assert tokens.special is not None, "the tokens of a text are known"
    return tokens.special.size
