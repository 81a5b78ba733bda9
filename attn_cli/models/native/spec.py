"""A model family as data: everything that differs between families, and nothing that they share."""

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum

from attn_cli.core.masks import Rule, both, causal, everywhere
from attn_cli.core.positions import Buckets, LogarithmicBuckets, Rotary
from attn_cli.record import record


class Norm(StrEnum):
    """The type of normalisation."""

    LAYER = "layer"  # Ba et al. 2016, arXiv:1607.06450
    RMS = "rms"  # Zhang and Sennrich 2019, arXiv:1910.07467


@record(frozen=True, slots=True)
class Part:
    """The name of a linear layer or a norm in the file, without `.weight` and `.bias`."""

    name: str  # with `{layer}` if it belongs to a layer
    has_bias: bool = True
    since: int = 0  # the first layer that has it


@record(frozen=True, slots=True)
class Projections:
    """The projections to queries, keys and values: three matrices, or a fused one."""

    query: Part | None = None
    key: Part | None = None
    value: Part | None = None
    fused: Part | None = None
    is_interleaved: bool = False  # a fused matrix is ordered by head
    query_norm: Part | None = None  # QK-norm
    key_norm: Part | None = None
    is_norm_whole: bool = False  # QK-norm over all heads together


@record(frozen=True, slots=True)
class FeedForward:
    """The feed-forward block: W_down · act(W_up x), or with a gate W_down · (act(W_gate x) ⊙ W_up x)."""

    up: Part
    down: Part
    size: int
    activation: str
    gate: Part | None = None  # Shazeer 2020, arXiv:2002.05202
    holds_gate: bool = False  # the gate is the first half of `up`
    is_down_float32: bool = False  # in float16 W_down, and so the stream, are float32: T5 overflows otherwise


@record(frozen=True, slots=True)
class Embeddings:
    """The embeddings that are summed to form the input of the first layer, with an optional norm."""

    tokens: str
    positions: str | None = None  # learned position embeddings
    has_sinusoids: bool = False  # computed sines and cosines instead
    segments: str | None = None  # learned segment embeddings
    norm: Part | None = None
    width: int | None = None  # of the embeddings, if `projection` maps them to the model's width
    projection: Part | None = None
    projects_tokens: bool = False  # before positions are added; else the sum is projected, after its norm
    scale: float = 1.0  # of the token embeddings
    first: int = 0  # the row of the first position
    padding: int | None = None  # a token id that has no position; later tokens are numbered without it
    skips_padding: bool = False  # masked padding has no position either


@record(frozen=True, slots=True)
class Relative:
    """A bias on the scores by distance, as in T5: a table with one row per bucket."""

    table: Part
    buckets: Buckets


@record(frozen=True, slots=True)
class ContentBias:
    """DeBERTa's bias: products of queries and keys with embeddings of the distance. arXiv:2006.03654."""

    table: Part  # one embedding per distance
    norm: Part | None
    distances: LogarithmicBuckets
    keys: Part | None  # W^K of distances; None: no content-to-position term
    queries: Part | None  # W^Q of distances; None: no position-to-content term


@record(frozen=True, slots=True)
class Cross:
    """The cross-attention of a decoder layer."""

    projections: Projections
    output: Part
    norm: Part  # before the attention in pre-norm models, else after the sum


@record(frozen=True, slots=True)
class LanguageHead:
    """How the output of the last layer, after the final norm, becomes a logit for each token of a vocabulary.

    x ↦ cap(scale · W f(x) + b), where f is a linear layer, an activation and a norm, as far as there are any.
    """

    decoder: Part  # W: (V, M), one row per token
    is_tied: bool = True  # to the token embeddings, if the file has no W
    tied_to: tuple[str, ...] = ()  # where the embeddings may be; empty: the model's token embeddings
    tied_bias: str | None = None  # the whole name of a bias that is W's, if the file has none beside W
    added_bias: str | None = None  # the whole name of a bias (1, V) that is added if the file has it
    transform: Part | None = None
    activation: str | None = None
    norm: Part | None = None  # of the type of the layers' norms
    width: int | None = None  # what `transform` maps to; None: the width of the model
    scale: float = 1.0
    softcap: float | None = None
    fills_masks: bool = False  # a row is about the token in its own place, not about the next one
    aliases: Mapping[str, str] = field(default_factory=dict)  # as those of `Spec`


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
    """One model: its dimensions, the names of its tensors, and how its layers compute."""

    type: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    width: int
    vocabulary: int
    longest: int | None  # the number of positions; None: unlimited
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
    attention_result_norm: Part | None = None  # of the attention's output, before it is added
    feed_forward_result_norm: Part | None = None
    is_parallel: bool = False  # attention and feed-forward block read the same x, and both outputs are added
    residual_is_normed: bool = False  # norm(x) + f(norm(x)): an option of BLOOM
    residual_scale: float = 1.0  # multiplies what is added to the residual stream
    gain_offset: float = 0.0  # added to the weights of norms, which Gemma stores minus 1
    is_causal: bool = False
    is_transposed: bool = False  # weights as (in, out): GPT-2's Conv1D
    segments: int = 0  # the number of segment embeddings
    takes_pairs: bool = False  # whether the model was trained on pairs of texts
    prefixes: tuple[str, ...] = ("",)
    tower: str = ""  # the module in transformers' model, if it is a part of a larger one: `language_model.`
    aliases: Mapping[str, str] = field(default_factory=dict)
    softcap: float | None = None
    is_alibi: bool = False
    relative: Relative | None = None
    content_bias: ContentBias | None = None
    numbers: Callable[[int], Mapping[str, int]] = _numbered  # the numbers in a layer's tensor names
    scale: Callable[[int], float | None] = _no_scale  # of a layer; None: 1/√D
    scale_name: str = ""  # the config keys that set it, with commas; "": it is 1/√D, or 1 in every such model
    window: Callable[[int], Rule] = _everywhere  # of a layer, in addition to the causal mask
    rotary: Callable[[int, int], Rotary | None] = _no_rotary  # of a layer and a number of tokens

    cross: Cross | None = None  # of a decoder
    decoder: "Spec | None" = None  # of an encoder-decoder model, where this is the encoder
    is_encoder_alone: bool = False  # of such a model, whose files lack the decoder
    start: int | None = None  # the decoder's start token
    head: Callable[[], LanguageHead] | None = None  # raises `AttnError`; None: nothing predicts tokens

    def mask(self, layer: int) -> Rule:
        """Where a query may look in a layer, apart from padding."""
        return both(causal, self.window(layer)) if self.is_causal else self.window(layer)
