"""The words of the interface: steps, kinds, metrics, patterns, distances and data types."""

from enum import StrEnum

RANDOM = "random"
"""The model that is a fresh, seeded layer."""

EMBEDDED = "storybook"
"""The model that ships with the package, which is read where nobody names one."""


class Step(StrEnum):
    """A step of one head, in the order of the computation."""

    INPUT = "input"
    QUERIES = "queries"
    KEYS = "keys"
    VALUES = "values"
    SCORES = "scores"
    BIAS = "bias"
    MASK = "mask"
    LOGITS = "logits"
    WEIGHTS = "weights"
    CONTEXT = "context"
    OUTPUT = "output"

    @property
    def is_pairwise(self) -> bool:
        """Whether the step is a (T, S) matrix: one number for each pair of a query and a key."""
        return self in {Step.SCORES, Step.BIAS, Step.MASK, Step.LOGITS, Step.WEIGHTS}

    @property
    def is_of_keys(self) -> bool:
        """Whether the step has a row for each key, and none for a query."""
        return self in {Step.KEYS, Step.VALUES}


class Kind(StrEnum):
    """Which attention of a model: `self` where there is one kind, else the part that attends."""

    SELF = "self"
    ENCODER = "encoder"
    DECODER = "decoder"
    CROSS = "cross"


class Metric(StrEnum):
    """What is measured of a head, query by query; of the head the mean is shown.

    The weights on a kind of key go from 0 to 1. How each is measured is told in `core/streaming/metrics.py`.
    """

    ENTROPY = "entropy"  # nats
    LARGEST = "largest"  # the largest weight
    DISTANCE = "distance"  # tokens from the query to where it looks
    CURRENT = "current-token"
    PREVIOUS = "previous-token"
    FIRST = "first-token"
    SPECIAL = "special"  # tokens that are no text
    DUPLICATE = "duplicate-token"  # earlier copies of the query's token
    INDUCTION = "induction"  # what followed earlier copies
    RECEIVED = "received"  # of all queries' weight, the share on the key that gets most


class Pattern(StrEnum):
    """What a head may be known to look at."""

    INDUCTION = "induction"  # what followed an earlier copy of the token
    DUPLICATE = "duplicate-token"  # an earlier copy
    PREVIOUS = "previous-token"
    CURRENT = "current-token"
    FIRST = "first-token"
    BROAD = "broad"  # many tokens, evenly


class Distance(StrEnum):
    """How far the weights of two heads are from each other."""

    JENSEN_SHANNON = "jensen-shannon"
    COSINE = "cosine"
    TOTAL_VARIATION = "total-variation"


class Theme(StrEnum):
    """The background that colours in a terminal are made for."""

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
