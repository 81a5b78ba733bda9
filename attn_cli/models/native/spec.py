"""A model family as data: everything that differs between families, and nothing they share."""

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum

from attn_cli.core.masks import Rule, both, causal, everywhere
from attn_cli.core.positions import Buckets, LogarithmicBuckets, Rotary
from attn_cli.record import record


class Norm(StrEnum):
    """How a layer is normalised."""

    LAYER = "layer"  # Ba et al. 2016, arXiv:1607.06450
    RMS = "rms"  # Zhang and Sennrich 2019, arXiv:1910.07467


@record(frozen=True, slots=True)
class Part:
    """Where a linear map or a norm stands in the file: the name before `.weight` and `.bias`."""

    name: str  # with `{layer}` where it belongs to one
    has_bias: bool = True
    since: int = 0  # the first layer that has it


@record(frozen=True, slots=True)
class Projections:
    """Where the queries, keys and values come from: three matrices, or one that holds them all."""

    query: Part | None = None
    key: Part | None = None
    value: Part | None = None
    fused: Part | None = None
    is_interleaved: bool = False  # of a fused matrix: head by head
    query_norm: Part | None = None  # QK-norm
    key_norm: Part | None = None
    is_norm_whole: bool = False  # it spans all heads together


@record(frozen=True, slots=True)
class FeedForward:
    """What follows the attention: W_down · act(W_up x), or with a gate W_down · (act(W_gate x) ⊙ W_up x)."""

    up: Part
    down: Part
    size: int
    activation: str
    gate: Part | None = None  # Shazeer 2020, arXiv:2002.05202
    holds_gate: bool = False  # the gate is the first half of `up`


@record(frozen=True, slots=True)
class Embeddings:
    """What a token's vector is made of before the first layer: a sum, then perhaps a norm."""

    tokens: str
    positions: str | None = None  # a learned vector for each place
    has_sinusoids: bool = False  # sines and cosines instead, which no file holds
    segments: str | None = None  # a learned vector for the first and the second text
    norm: Part | None = None
    width: int | None = None  # of the vectors, where a projection brings them to the model's
    projection: Part | None = None
    projects_tokens: bool = False  # before positions are added; else the sum, after its norm
    scale: float = 1.0  # of the tokens' vectors
    first: int = 0  # the row of the first position
    padding: int | None = None  # a token that takes no position: those behind it move up
    skips_padding: bool = False  # padding takes no position either


@record(frozen=True, slots=True)
class Relative:
    """A bias on the scores by distance: a table with a row for each bucket."""

    table: Part
    buckets: Buckets


@record(frozen=True, slots=True)
class ContentBias:
    """A bias by distance that queries and keys meet as vectors: DeBERTa's. arXiv:2006.03654."""

    table: Part  # a vector for each distance
    norm: Part | None
    distances: LogarithmicBuckets
    keys: Part | None  # W^K of distances; None: queries meet none
    queries: Part | None  # W^Q of distances; None: keys meet none


@record(frozen=True, slots=True)
class Cross:
    """The attention of a decoder's layer that looks at the encoder's text."""

    projections: Projections
    output: Part
    norm: Part  # where the self-attention's stands: before, or behind the sum


def _numbered(layer: int) -> Mapping[str, int]:
    return {"layer": layer}


def _everywhere(_layer: int) -> Rule:
    return everywhere


def _no_scale(_layer: int) -> float | None:
    return None


def _no_rotary(_layer: int, _length: int) -> Rotary | None:
    return None


@record(frozen=True, slots=True)
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
    attention_norm: Part | None
    feed_forward_norm: Part | None
    final_norm: Part | None
    norm: Norm
    epsilon: float
    is_pre_norm: bool  # x + f(norm(x)), else norm(x + f(x))
    attention_result_norm: Part | None = None  # of what the attention returns, before it is added
    feed_forward_result_norm: Part | None = None
    is_parallel: bool = False  # attention and feed-forward part read the same x, and both are added
    residual_is_normed: bool = False  # norm(x) + f(norm(x)): BLOOM's option
    residual_scale: float = 1.0  # of what is added to the residual stream
    gain_offset: float = 0.0  # added to every gain: Gemma stores them less one
    is_causal: bool = False
    is_transposed: bool = False  # weights as (in, out): GPT-2's Conv1D
    segments: int = 0  # how many kinds of segment there are
    takes_pairs: bool = False  # whether it was made to read two texts
    prefixes: tuple[str, ...] = ("",)
    aliases: Mapping[str, str] = field(default_factory=dict)
    softcap: float | None = None
    is_alibi: bool = False
    relative: Relative | None = None
    content_bias: ContentBias | None = None
    numbers: Callable[[int], Mapping[str, int]] = _numbered  # what stands in a layer's names
    scale: Callable[[int], float | None] = _no_scale  # of a layer; None: 1/√D
    window: Callable[[int], Rule] = _everywhere  # of a layer: what of the unmasked a token may see
    rotary: Callable[[int, int], Rotary | None] = _no_rotary  # of a layer, for a text of that length

    cross: Cross | None = None  # of a decoder that reads what an encoder made
    decoder: "Spec | None" = None  # of an encoder-decoder model; this is its encoder
    start: int | None = None  # the token that the decoder's text begins with

    def mask(self, layer: int) -> Rule:
        """Who may look where in a layer, padding aside."""
        return both(causal, self.window(layer)) if self.is_causal else self.window(layer)
