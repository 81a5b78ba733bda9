"""All heads of a text, for a view that shows every weight of them: layers come one after the other.

H query heads, T queries, S keys; of a long text the rows and columns are blocks of tokens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attn_cli.answers.shaded_text import Piece
from attn_cli.record import record
from attn_cli.shares import PatternShare
from attn_cli.vocabulary import Kind, Metric, Pattern, Pool

if TYPE_CHECKING:
    from attn_cli.core.hiding import Hiding
    from attn_cli.grid import Head

Weights = npt.NDArray[np.floating]


@record(frozen=True, slots=True)
class ReportText:
    """A text whose tokens are queries, keys or both."""

    name: str  # what it is called: the text, the decoder's text
    labels: Sequence[str]  # of the tokens
    ids: Sequence[int]
    special: Sequence[int]  # the positions of tokens that are not text
    written: Sequence[int]  # the positions of those that the model wrote
    pieces: Sequence[Piece]
    words: "Sequence[ReportWord] | None"  # None: the tokenizer does not tell where tokens stand


@record(frozen=True, slots=True)
class ReportWord:
    """A word of several tokens."""

    label: str
    tokens: Sequence[int]  # their positions


@record(frozen=True, slots=True, eq=False)
class ExactHead:
    """A head with its steps in full precision."""

    head: "Head"
    softcap: float | None  # None: scores are not capped, or it is not known


@record(frozen=True, slots=True, eq=False)
class WholeRows:
    """Rows of a head at every key, in full precision; S keys of the text, not of blocks."""

    layer: int
    head: int
    queries: Sequence[int]
    weights: Weights  # (R, S) NaN where the query may not look
    sink: Weights | None  # (R,)


@record(frozen=True, slots=True, eq=False)
class ReportedLayer:
    """All heads of one layer."""

    layer: int
    weights: Weights  # (H, T, S)
    mask: npt.NDArray[np.bool_]  # (T, S) true where the query may look
    sink: Weights | None  # (H, T) what learned sinks take; None: the layer has none
    metrics: Sequence[Mapping[Metric, float | None]]  # of each head
    patterns: Sequence[PatternShare | None]  # what gives each head its name
    sharpness: Sequence[float]  # how clearly each head selects distant tokens
    exact: "Callable[[int], ExactHead]"  # what the arithmetic of a weight of this head needs
    clearest: Callable[[int], tuple[int, int]]  # the query and the key that show best what a head does


@record(frozen=True, slots=True, eq=False)
class ReportedKind:
    """One kind of attention; its layers run as they are iterated over, once."""

    kind: Kind
    queries: int  # which text the queries are tokens of
    keys: int
    layers: Sequence[int]
    heads: int  # of each layer
    cells: tuple[int, int]  # how many queries and keys each number covers
    pool: Pool  # what the number is of them
    metric: Metric  # the one to begin with
    measured_on: Callable[[Pattern], str]  # which tokens the shares of a pattern are of
    known_head: tuple[int, int] | None  # the layer and head to begin with; None: the sharpest
    run: Callable[[], Iterator[ReportedLayer]]
    begins_exact: bool  # whether the head to begin with is kept in full precision, if none is chosen
    exact: "Callable[[], Sequence[ExactHead]]"  # the chosen ones, known once the layers have run
    rows: "Callable[[], Sequence[WholeRows]]"  # those of chosen queries, known then too


@record(frozen=True, slots=True, eq=False)
class ReportedEffects:
    """What each head adds to the logit of the likeliest next token, less the mean of the vocabulary."""

    prediction: str  # the token, after which one, and how likely it is
    next_token: str  # the token and how likely it is, in brief
    direct: Mapping[tuple[Kind, int, int], float]  # by kind, layer and head


@record(frozen=True, slots=True, eq=False)
class Report:
    """A text as a model reads it, with all of its attention."""

    model: Mapping[str, Any]  # what the JSON object says of the model and of how it ran
    origin: "Callable[[], Mapping[str, str | None]]"  # where its weights come from; reads all of them
    headline: Sequence[str]
    notes: Sequence[str]  # what to know before trusting the numbers
    remarks: Sequence[str]  # on what the page leaves out
    texts: Sequence[ReportText]
    kinds: Sequence[ReportedKind]
    effects: "Callable[[], tuple[ReportedEffects | None, str]]"  # or why there are none; layers run first
    again: str  # the arguments that name the model and the text, for a shell; empty: none can be shown
    hiding: "Hiding | None" = None  # the keys of the first kind that are hidden to begin with
