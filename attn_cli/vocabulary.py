"""The words of the interface, each defined once: steps, kinds, metrics, patterns, distances, data types."""

from enum import StrEnum
from typing import Self

RANDOM = "random"
"""The name of the model that is a single layer of seeded random weights."""

EMBEDDED = "storybook"
"""The name of the model bundled with the package, the default."""

WRITTEN = "+"
"""What stands before a token that the model wrote (`--generate`)."""


class Term(StrEnum):
    """A word that users type, its meaning, and the unit of its values if they have one.

    What is measured also has a formula, the rows that count, and a source: `attn heads --definitions` prints
    them, and docs/glossary.md has the same text. α_ij is the weight of query i on key j, t_i the token at i.
    """

    explanation: str
    unit: str
    formula: str
    rows: str
    source: str  # a paper and its arXiv number or DOI

    def __new__(
        cls,
        word: str,
        explanation: str = "",
        unit: str = "",
        formula: str = "",
        rows: str = "",
        source: str = "",
    ) -> Self:
        """The word as a string that carries its explanation."""
        member = str.__new__(cls, word)
        member._value_, member.explanation, member.unit = word, explanation, unit
        member.formula, member.rows, member.source = formula, rows, source
        return member


class Step(Term):
    """A step of one head, in the order of the computation."""

    INPUT = "input", "the hidden states that enter the attention layer, after any layer norm before it"
    QUERIES = (
        "queries",
        "the input times W_Q, with bias, norm and rotary positions applied, before the scale",
    )
    KEYS = "keys", "the input times W_K, likewise"
    VALUES = "values", "the input times W_V, with bias"
    SCORES = "scores", "the dot product of each query and key, scaled, before bias and mask"
    BIAS = "bias", "what the model adds to the scores for relative position, if it does (T5, ALiBi)"
    MASK = "mask", "true where a query may attend to a key"
    LOGITS = "logits", "scores with soft cap, bias and mask applied: the input of the softmax"
    WEIGHTS = "weights", "softmax of the logits: each row sums to 1, less what a learned sink takes"
    CONTEXT = "context", "the values, averaged with the weights"
    OUTPUT = "output", "the context times the head's part of W_O: what the head adds to the layer's output"
    NORMS = "norms", "how much each key adds to the output: weight times the norm of its value times W_O"
    NORM_SHARES = "norm-shares", "the norms, divided by the sum of their row"
    VALUE_ZEROING = (
        "value-zeroing",
        "of the whole layer: 1 - cosine of its output with and without a key's values",
    )

    @property
    def is_pairwise(self) -> bool:
        """Whether the step is a (T, S) matrix: one number for each pair of a query and a key."""
        return self in _PAIRWISE

    @property
    def is_of_layer(self) -> bool:
        """Whether it is what all heads of a layer do together, so that one matrix says it."""
        return self is Step.VALUE_ZEROING

    @property
    def is_of_keys(self) -> bool:
        """Whether the step has a row per key rather than per query."""
        return self in {Step.KEYS, Step.VALUES}


_PAIRWISE = {
    *(Step.SCORES, Step.BIAS, Step.MASK, Step.LOGITS, Step.WEIGHTS),
    *(Step.NORMS, Step.NORM_SHARES, Step.VALUE_ZEROING),
}


class Check(StrEnum):
    """What `attn verify` compares in a layer, in the order of the computation."""

    INPUT = "input"  # the hidden states that enter the attention layer
    QUERIES = "queries"  # of every head, before any scale
    KEYS = "keys"  # as every query head reads them
    KV_HEADS = "kv_heads"  # which key/value head every head reads; the difference is a number of heads
    VALUES = "values"
    SCORES = "scores"
    MASK = "mask"  # the difference is a number of cells
    LOGITS = "logits"  # where the mask allows: with soft cap and position bias
    WEIGHTS = "weights"  # the difference is absolute
    CONTEXT = "context"
    HEAD_OUTPUTS = "head_outputs"  # each head's part of the output
    OUTPUT = "output"  # of the layer: the sum of the heads' outputs, and the bias of W_O

    @property
    def of_layer(self) -> str:
        """Its name in a sentence: the scores of a layer."""
        names = {Check.HEAD_OUTPUTS: "outputs of the heads", Check.KV_HEADS: "key/value heads"}
        return names.get(self, self.value)

    @property
    def heading(self) -> str:
        """Its name above a column."""
        return "heads" if self is Check.HEAD_OUTPUTS else self.value

    @property
    def is_counted(self) -> bool:
        """Whether its difference is a number of places, and rounding explains none."""
        return self in {Check.MASK, Check.KV_HEADS}

    @property
    def is_plural(self) -> bool:
        """Whether its name is a plural."""
        return self.value.endswith("s")

    @property
    def is_of_keys(self) -> bool:
        """Whether it has a row per key rather than per query."""
        return self in {Check.KEYS, Check.VALUES}


class Kind(StrEnum):
    """Which attention of a model: `self` if it has one kind, otherwise the part that attends."""

    SELF = "self"
    ENCODER = "encoder"
    DECODER = "decoder"
    CROSS = "cross"


class AblationMethod(StrEnum):
    """What the contexts of a head that is switched off are replaced by."""

    ZERO = "zero"
    MEAN = "mean"
    RESAMPLE = "resample"


class ComponentType(StrEnum):
    """What writes into the residual stream."""

    EMBEDDING = "embedding"  # the embedding of the token
    POSITION = "position"  # the position embedding, learned or sinusoidal
    SEGMENT = "segment"  # the segment embedding
    HEAD = "head"  # an attention head: its context times its slice of W^O
    OUTPUT_BIAS = "output_bias"  # the bias of a layer's W^O, which belongs to no head
    FEED_FORWARD = "feed_forward"  # a feed-forward block, with its bias
    CONSTANT = "constant"  # shifts of norms and biases of projections, the same for every token


_KOBAYASHI = "Kobayashi et al. 2020, arXiv:2004.10102"
_CLARK = "Clark et al. 2019, arXiv:1906.04341"
_OLSSON = "Olsson et al. 2022, arXiv:2209.11895"
_WANG = "Wang et al. 2022, arXiv:2211.00593"
_XIAO = "Xiao et al. 2023, arXiv:2309.17453"

_LOOKING = "every row that may look anywhere"
_LATER = "rows that may look at it, but the first"
_BOTH = (
    "every row that is not empty in both heads; a learned sink is one more key, and hidden keys together are "
    "another"
)


class Metric(Term):
    """What is measured for each row of a head; the value for the head is the mean of its rows.

    Weights on a kind of token range from 0 to 1. `core/streaming/metrics.py` computes the formulas.
    """

    ENTROPY = (
        "entropy",
        "how evenly the weights are spread; 0 if all weight is on one token",
        "nats",
        "−Σ_j α_ij ln α_ij; a learned sink is one more key",
        _LOOKING,
        _CLARK,
    )
    LARGEST = (
        "largest",
        "the largest weight on a token",
        "0 to 1",
        "max_j α_ij",
        _LOOKING,
        "Voita et al. 2019, arXiv:1905.09418",
    )
    SINK = (
        "sink",
        "weight on the head's learned sink, a logit without a value; few models have one",
        "0 to 1",
        "1 − Σ_j α_ij",
        "every row that may look anywhere, in layers with a learned sink",
        "OpenAI 2025, arXiv:2508.10925",
    )
    HIDDEN = (
        "hidden",
        "weight on the keys that --hide hides",
        "0 to 1",
        "Σ_j α_ij over hidden j",
        "every row that may look anywhere, hidden keys included",
        "attn's own",
    )
    ON = (
        "on",
        "weight on the keys that --on selects",
        "0 to 1",
        "Σ_j α_ij over selected j",
        "rows that may look at one of them, the first too",
        "attn's own",
    )
    DISTANCE = (
        "distance",
        "how far away the attended tokens are, averaged with the weights",
        "tokens",
        "Σ_j α_ij |i − j| / Σ_j α_ij",
        "every row that may look anywhere; each counts by what a learned sink leaves to tokens",
        "Vig and Belinkov 2019, arXiv:1906.04284",
    )
    CURRENT = "current-token", "weight on the token itself", "0 to 1", "α_ii", _LATER, _CLARK
    PREVIOUS = "previous-token", "weight on the token before it", "0 to 1", "α_i,i−1", _LATER, _CLARK
    FIRST = (
        "first-token",
        "weight on the first token",
        "0 to 1",
        "α_i0",
        "rows that may look at it, but the first; in cross-attention the first too",
        _XIAO,
    )
    SPECIAL = (
        "special",
        "weight on special tokens such as [CLS] and <s>",
        "0 to 1",
        "Σ_j α_ij over special t_j",
        "rows that may look at a special token, but the first; in cross-attention the first too",
        _CLARK,
    )
    DUPLICATE = (
        "duplicate-token",
        "weight on earlier copies of the token",
        "0 to 1",
        "Σ_j α_ij over j < i with t_j = t_i; later copies never count, in encoders either",
        "rows with an earlier copy that they may look at",
        _WANG,
    )
    INDUCTION = (
        "induction",
        "weight on the tokens that followed earlier copies of the token",
        "0 to 1",
        "Σ_j α_i,j+1 over j + 1 < i with t_j = t_i",
        "rows with such a token that they may look at",
        _OLSSON,
    )
    RECEIVED = (
        "received",
        "share of all weight that the most attended token receives",
        "0 to 1",
        "max_j Σ_i α_ij / T, T the number of rows",
        _LOOKING,
        "attn's own; a sink's mean over i ≥ j: Gu et al. 2024, arXiv:2410.10781",
    )
    WRITTEN = (
        "written",
        "how much the head writes: the norms of what keys add to its output",
        "norm",
        "Σ_j ‖α_ij f(x_j)‖, f(x) = (x W_V + b_V) W_O",
        _LOOKING,
        _KOBAYASHI,
    )
    WRITTEN_FIRST = (
        "written-first",
        "share of written that the first token adds",
        "0 to 1",
        "‖α_i0 f(x_0)‖ / Σ_j ‖α_ij f(x_j)‖",
        "as for first-token",
        _KOBAYASHI,
    )
    WRITTEN_ON = (
        "written-on",
        "share of written that the keys add that --on selects",
        "0 to 1",
        "Σ_j ‖α_ij f(x_j)‖ over selected j / Σ_j ‖α_ij f(x_j)‖",
        "as for on",
        _KOBAYASHI,
    )
    DIRECT = (
        "direct",
        "what the head adds to the logit of the token that follows, less the vocabulary's mean",
        "logit",
        "Σ_j α_ij f(x_j) · r_i, f as for written; the final norm and the language head read t_i+1 along r_i",
        "rows that a token follows; over documents alone",
        "Elhage et al. 2021, transformer-circuits.pub/2021/framework",
    )

    @property
    def is_written(self) -> bool:
        """Whether it is about what a head writes, which needs W_O, and not about its weights alone."""
        return self in {Metric.WRITTEN, Metric.WRITTEN_FIRST, Metric.WRITTEN_ON}

    @property
    def is_effect(self) -> bool:
        """Whether it is about what the model predicts, which needs all layers, and may be negative."""
        return self is Metric.DIRECT


class Pattern(Term):
    """What a head is known to attend to."""

    INDUCTION = (
        "induction",
        "attends to the token that followed an earlier copy of the current token",
        "0 to 1",
        "the mean of induction",
        (
            "text tokens whose copies are more than 5 tokens back, none of them followed by itself or by a "
            "special token"
        ),
        _OLSSON,
    )
    DUPLICATE = (
        "duplicate-token",
        "attends to an earlier copy of the current token",
        "0 to 1",
        "the mean of duplicate-token",
        "text tokens whose copies are more than 4 tokens back, and not the first token",
        _WANG,
    )
    PREVIOUS = (
        "previous-token",
        "attends to the token before the current one",
        "0 to 1",
        "the mean of previous-token",
        "text tokens from the third on, after a text token; t_i is neither t_i−1 nor t_i−2",
        _CLARK,
    )
    CURRENT = (
        "current-token",
        "attends to the current token itself",
        "0 to 1",
        "the mean of current-token",
        "text tokens from the second on",
        _CLARK,
    )
    FIRST = (
        "first-token",
        "attends to the first token, where unneeded weight goes",
        "0 to 1",
        "the mean of first-token",
        "text tokens from the third on that are no copies of the first token; in cross-attention every row",
        _XIAO,
    )
    BROAD = (
        "broad",
        "attends to many tokens almost evenly",
        "0 to 1",
        "the mean of entropy / ln n, n the keys that the row may look at, a learned sink included",
        "text tokens that may look at more than 4 keys",
        _CLARK,
    )


class Distance(Term):
    """How far apart the weights of two heads are: from 0 (identical) to 1 (nothing in common)."""

    JENSEN_SHANNON = (
        "jensen-shannon",
        "square root of the Jensen-Shannon divergence, logarithms to base 2",
        "0 to 1",
        "√(½ Σ_j p_j log₂(p_j/m_j) + ½ Σ_j q_j log₂(q_j/m_j)), m = (p + q)/2",
        _BOTH,
        "Endres and Schindelin 2003, doi:10.1109/TIT.2003.813506",
    )
    COSINE = (
        "cosine",
        "1 minus the cosine of the angle between the rows",
        "0 to 1",
        "1 − p·q / (|p| |q|)",
        _BOTH,
        "",
    )
    TOTAL_VARIATION = (
        "total-variation",
        "the weight that would have to move to make the rows equal",
        "0 to 1",
        "½ Σ_j |p_j − q_j|",
        _BOTH,
        "",
    )


class OrderSource(StrEnum):
    """What tells a model the order of its tokens; without any of it a text is a bag of words."""

    LEARNED = "learned"  # a learned embedding per position, added to the token's
    SINUSOIDS = "sinusoids"  # sines and cosines of the position, added to the token's embedding
    ROTARY = "rotary"  # RoPE turns queries and keys by their position
    ALIBI = "alibi"  # a bias on the scores that grows with the distance
    RELATIVE = "relative"  # a learned bias on the scores by distance
    CONTENT = "content"  # DeBERTa's products of queries and keys with embeddings of the distance
    CAUSAL = "causal"  # the mask that hides later tokens
    WINDOW = "window"  # the mask that hides distant tokens


class Theme(StrEnum):
    """The background that colours are chosen for: of a terminal or a picture."""

    AUTO = "auto"  # of a terminal as COLORFGBG says, else dark; of a picture paper
    DARK = "dark"
    LIGHT = "light"
    PAPER = "paper"  # the same as light


class Pool(StrEnum):
    """What the weights of a block become where a matrix is too large to show: one number for all of them."""

    MAX = "max"  # the largest, so that a single large weight among small ones is seen
    MEAN = "mean"


class ScaleKind(StrEnum):
    """How colours and shades follow the weights."""

    AUTO = "auto"  # log in pictures of long texts and where one key takes most of the weight, else linear
    LINEAR = "linear"
    LOG = "log"


class Language(StrEnum):
    """The language of `attn explain`."""

    EN = "en"
    PT = "pt"


class Lesson(Term):
    """A question of the textbook that `attn explain --lesson` answers with the reader's own text."""

    SCALE = "scale", "why scores are divided by the square root of d_k"
    MASK = "mask", "what a mask does to scores, before and after"
    HEADS = "heads", "what several heads see that one of the same width does not"
    ORDER = "order", "what order means, with positions and without"
    LENGTH = "length", "what N² costs, in operations, bytes and seconds on this machine"
    RECURRENCE = "recurrence", "attention beside a recurrent network's, and the steps between two tokens"
    GRAPH = "graph", "attention as a graph, one step of message passing"


class DType(StrEnum):
    """The number format of the computation; the softmax runs in float32 or better."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"

    @property
    def is_half(self) -> bool:
        """Whether the format has 16 bits."""
        return self in {DType.FLOAT16, DType.BFLOAT16}

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return 2 if self.is_half else 8 if self is DType.FLOAT64 else 4
