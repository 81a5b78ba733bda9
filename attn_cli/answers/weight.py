"""The arithmetic of one row of one head: every number between the layer's input and its output.

T queries, S keys, D head size, M model width, H heads.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from attn_cli.core.masks import HiddenBy
from attn_cli.core.positions import Rotary
from attn_cli.record import record
from attn_cli.vocabulary import Kind, Step

Vector: TypeAlias = npt.NDArray[np.floating]
"""Numbers as they were computed: (S,), (D,), (M,), or a matrix of these."""

Choice: TypeAlias = npt.NDArray[np.bool_]


@record(frozen=True, slots=True, eq=False)
class OpenedNorm:
    """QK-norm of one vector: (x − mean) ÷ divisor × gain + shift, feature by feature."""

    mean: float | None  # None: an RMS norm takes off no mean
    divisor: float
    gain: Vector  # (D,)
    shift: Vector | None  # (D,)
    features: int  # how many features the mean and the divisor are taken over


@record(frozen=True, slots=True, eq=False)
class OpenedTurn:
    """RoPE of one vector: pair r is turned by position × frequencies[r]."""

    rotary: Rotary
    cosine: Vector  # (R/2,) times the gain
    sine: Vector  # (R/2,)
    frequencies: Vector  # (R/2,) radians per position


@record(frozen=True, slots=True, eq=False)
class MatrixRows:
    """Where the rows of a head's matrix stand in the model's file."""

    name: str  # of the tensor; empty: not known
    first: int
    last: int
    rows: int  # of the whole matrix in the file
    is_fused: bool  # whether the matrix holds queries, keys and values together


@record(frozen=True, slots=True, eq=False)
class Projection:
    """One token's query, key or value of a head, stage by stage."""

    step: Step
    position: int
    input: Vector  # (M,)
    inputs: Vector  # (S, M) of all tokens on this side
    weight: Vector  # (D, M) the head's rows
    bias: Vector | None  # (D,)
    place: MatrixRows
    plain: Vector  # (D,) xWᵀ + b
    norm: OpenedNorm | None
    normed: Vector | None  # (D,)
    turn: OpenedTurn | None
    final: Vector  # (D,)


@record(frozen=True, slots=True)
class BiasTerms:
    """What the bias of one pair is made of; only the fields of its kind are set."""

    slope: float | None = None  # ALiBi: slope × position of the key
    bucket: int | None = None  # T5, MPNet, DeBERTa: the row of the learned table
    buckets: int | None = None  # rows of the table
    scale: float | None = None  # DeBERTa: of the sum of its terms
    content_to_position: float | None = None
    position_to_content: float | None = None


@record(frozen=True, slots=True, eq=False)
class RowScores:
    """The scores of one query: its dot products with all keys, and what becomes of them."""

    query: Vector  # (D,)
    keys: Vector  # (S, D)
    dots: Vector  # (S,) q·k
    scale: float
    scale_name: str  # the name of the scale in the model's configuration; empty: 1/√D
    scores: Vector  # (S,) q·k × scale
    softcap: float | None
    capped: Vector  # (S,) the scores themselves without a soft cap
    bias: Vector | None  # (S,) None: no position bias
    bias_terms: BiasTerms | None  # what the bias of the key is made of, where that is known


@record(frozen=True, slots=True, eq=False)
class RowPowers:
    """The numerators and the denominator of the softmax of one row."""

    largest: np.floating  # the largest logit of the row and its sink; 0 if the query sees nothing
    powers: Vector  # (S,) exp(logit − largest)
    total: np.floating  # their sum, the sink's included
    of_sink: np.floating | None  # None: no sink


@record(frozen=True, slots=True, eq=False)
class RowSoftmax:
    """The softmax of one row."""

    mask: Choice  # (S,) true where the query may look
    logits: Vector | None  # (S,) -inf where masked; None: not observed
    powers: RowPowers | None  # None: the logits were not observed
    weights: Vector  # (S,)
    sink_logit: float | None  # None: no sink
    sink_weight: float | None


@record(frozen=True, slots=True, eq=False)
class RowOutput:
    """What the head, and the layer, write for the query."""

    matrix: Vector  # (M, D) the head's slice of W^O
    name: str  # of W^O in the file; empty: not known
    output: Vector  # (M,) what this head writes
    outputs: Vector  # (H, M) what each head writes
    bias: Vector | None  # (M,) of W^O
    result: Vector  # (M,) the layer's output
    stream: Vector | None  # (M,) the residual stream that the layer's output is added to
    is_changed: bool  # whether the model normalises or scales the layer's output before adding it


@record(frozen=True, slots=True, eq=False)
class Explanation:
    """Everything about one row of a head, as far as its source knows it."""

    kind: Kind
    layer: int
    head: int
    kv_head: int
    heads: int  # H
    kv_heads: int | None  # None: not known
    query: int  # position
    key: int
    projections: Mapping[Step, Projection]  # of the query, the key, and the key's value; empty: not known
    scores: RowScores | None
    softmax: RowSoftmax
    hidden: HiddenBy | None  # why the query may not look at the key
    hides: frozenset[str]  # the causes why it may not look at other keys: "causal", "window", ...
    is_normed: bool | None  # whether the layer's input is the residual stream after a norm; None: not known
    values: Vector | None  # (S, D)
    context: Vector | None  # (D,)
    output: RowOutput | None
    absent: Mapping[Step, str]  # the steps that are not known, each with the reason

    @property
    def is_hidden(self) -> bool:
        """Whether the mask hides the key from the query."""
        return not self.softmax.mask[self.key]
