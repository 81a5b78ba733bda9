"""A family of models as data: all that differs between them, and nothing that is common."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from attn_cli.core.masks import Rule, both, causal, everywhere
from attn_cli.core.positions import Rotary


class Norm(StrEnum):
    """How a layer is normalised."""

    LAYER = "layer"  # Ba et al. 2016, arXiv:1607.06450
    RMS = "rms"  # Zhang and Sennrich 2019, arXiv:1910.07467


@dataclass(frozen=True, slots=True)
class Part:
    """Where a linear map or a norm stands in the file: the name before `.weight` and `.bias`."""

    name: str  # with `{layer}` where it belongs to one
    has_bias: bool = True


@dataclass(frozen=True, slots=True)
class Projections:
    """Where the queries, keys and values come from: three matrices, or one that holds them all."""

    query: Part | None = None
    key: Part | None = None
    value: Part | None = None
    fused: Part | None = None
    is_interleaved: bool = False  # of a fused matrix: head by head


@dataclass(frozen=True, slots=True)
class FeedForward:
    """What follows the attention: W_down · act(W_up x), or with a gate W_down · (act(W_gate x) ⊙ W_up x)."""

    up: Part
    down: Part
    size: int
    activation: str
    gate: Part | None = None  # Shazeer 2020, arXiv:2002.05202


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What a token's vector is made of before the first layer: a sum, then perhaps a norm."""

    tokens: str
    positions: str | None = None  # a learned vector for each place
    segments: str | None = None  # a learned vector for the first and the second text
    norm: Part | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """One model, ready to be read from its file."""

    type: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    width: int
    vocabulary: int
    longest: int | None  # how many positions it has; None: no limit
    embeddings: Embeddings
    projections: Projections
    output: Part
    feed_forward: FeedForward
    attention_norm: Part
    feed_forward_norm: Part
    final_norm: Part | None
    norm: Norm
    epsilon: float
    is_pre_norm: bool  # x + f(norm(x)), else norm(x + f(x))
    is_causal: bool = False
    is_transposed: bool = False  # weights as (in, out): GPT-2's Conv1D
    segments: int = 0  # how many kinds of segment there are; 0: it reads one text
    prefixes: tuple[str, ...] = ("",)
    aliases: Mapping[str, str] = field(default_factory=dict)
    scale: Callable[[int], float | None] = lambda _layer: None  # None: 1/√D
    window: Rule = everywhere  # what a token may see of what is not masked as later
    rotary: Callable[[int], Rotary | None] = lambda _length: None  # some turn slower for a longer text

    @property
    def mask(self) -> Rule:
        """Who may look where, padding aside."""
        return both(causal, self.window) if self.is_causal else self.window
