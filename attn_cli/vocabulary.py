"""The words of the interface, each defined once: steps, kinds, metrics, patterns, distances, data types."""

from enum import StrEnum
from typing import Self

RANDOM = "random"
"""The name of the model that is a single layer of seeded random weights."""

EMBEDDED = "storybook"
"""The name of the model bundled with the package, the default."""


class Term(StrEnum):
    """A word that users type, its meaning, and the unit of its values if they have one."""

    explanation: str
    unit: str

    def __new__(cls, word: str, explanation: str = "", unit: str = "") -> Self:
        """The word as a string that carries its explanation."""
        member = str.__new__(cls, word)
        member._value_, member.explanation, member.unit = word, explanation, unit
        return member


class Step(Term):
    """A step of one head, in the order of the computation."""

    INPUT = "input", "the hidden states that enter the attention layer, after any layer norm before it"
    QUERIES = (
        "queries",
        "the input times W_Q, with bias, norm and rotary positions applied",
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

    @property
    def is_pairwise(self) -> bool:
        """Whether the step is a (T, S) matrix: one number for each pair of a query and a key."""
        return self in {Step.SCORES, Step.BIAS, Step.MASK, Step.LOGITS, Step.WEIGHTS}

    @property
    def is_of_keys(self) -> bool:
        """Whether the step has a row per key rather than per query."""
        return self in {Step.KEYS, Step.VALUES}


class Check(StrEnum):
    """What `attn verify` compares in a layer, in the order of the computation."""

    INPUT = "input"  # the hidden states that enter the attention layer
    QUERIES = "queries"  # of every head, before any scale
    KEYS = "keys"  # as every query head reads them
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
        return {Check.HEAD_OUTPUTS: "outputs of the heads"}.get(self, self.value)

    @property
    def heading(self) -> str:
        """Its name above a column."""
        return "heads" if self is Check.HEAD_OUTPUTS else self.value

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


class Metric(Term):
    """What is measured for each row of a head; the value for the head is the mean of its rows.

    Weights on a kind of token range from 0 to 1. `core/streaming/metrics.py` defines the formulas.
    """

    ENTROPY = "entropy", "how evenly the weights are spread; 0 if all weight is on one token", "nats"
    LARGEST = "largest", "the largest weight on a token", "0 to 1"
    SINK = "sink", "weight on the head's learned sink, a logit without a value; few models have one", "0 to 1"
    DISTANCE = "distance", "how far away the attended tokens are, averaged with the weights", "tokens"
    CURRENT = "current-token", "weight on the token itself", "0 to 1"
    PREVIOUS = "previous-token", "weight on the token before it", "0 to 1"
    FIRST = "first-token", "weight on the first token", "0 to 1"
    SPECIAL = "special", "weight on special tokens such as [CLS] and <s>", "0 to 1"
    DUPLICATE = "duplicate-token", "weight on earlier copies of the token", "0 to 1"
    INDUCTION = "induction", "weight on the tokens that followed earlier copies of the token", "0 to 1"
    RECEIVED = "received", "share of all weight that the most attended token receives", "0 to 1"


class Pattern(Term):
    """What a head is known to attend to."""

    INDUCTION = "induction", "attends to the token that followed an earlier copy of the current token"
    DUPLICATE = "duplicate-token", "attends to an earlier copy of the current token"
    PREVIOUS = "previous-token", "attends to the token before the current one"
    CURRENT = "current-token", "attends to the current token itself"
    FIRST = "first-token", "attends to the first token, where unneeded weight goes"
    BROAD = "broad", "attends to many tokens almost evenly"


class Distance(Term):
    """How far apart the weights of two heads are: from 0 (identical) to 1 (nothing in common)."""

    JENSEN_SHANNON = "jensen-shannon", "square root of the Jensen-Shannon divergence in bits"
    COSINE = "cosine", "1 minus the cosine of the angle between the rows"
    TOTAL_VARIATION = "total-variation", "the weight that would have to move to make the rows equal"


class Theme(StrEnum):
    """The terminal background that colours are chosen for."""

    AUTO = "auto"  # as COLORFGBG says, else dark
    DARK = "dark"
    LIGHT = "light"


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
