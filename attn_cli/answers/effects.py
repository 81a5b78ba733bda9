"""What heads do to a prediction: direct effects that add up to a logit, and what changes without a head."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TypeAlias

from attn_cli.answers.prediction import Prediction
from attn_cli.record import record
from attn_cli.vocabulary import AblationMethod, Kind, Pattern

HeadPlace: TypeAlias = tuple[Kind, int, int]
"""The kind of attention, the layer and the head."""


@record(frozen=True, slots=True)
class DirectEffects:
    """What each component adds to a logit less the vocabulary's mean, or less another token's logit."""

    heads: Mapping[HeadPlace, float]
    feed_forward: Mapping[int, float]  # by layer
    embedding: float  # of the token, its position and its segment
    bias: float  # the biases of W^O
    constant: float  # the shift of the final norm, and the bias of the language head
    mean: float  # the mean logit of the vocabulary; 0 if it is less another token's logit
    expected: float  # the logit, or the difference of two, as the model computed it
    softcap: float | None = None  # the cap that logits pass afterwards

    @property
    def total(self) -> float:
        """The sum of all effects and the mean: what was expected, but for rounding."""
        layers = (*self.heads.values(), *self.feed_forward.values())
        return sum(layers) + self.embedding + self.bias + self.constant + self.mean


@record(frozen=True, slots=True)
class HeadChange:
    """What changes if a head is switched off: the ablated run less the clean one."""

    head: HeadPlace
    logit: float  # of the token, or the difference of two logits
    probability: float
    divergence: float  # KL(clean ‖ ablated), in nats


@record(frozen=True, slots=True)
class AblationEffects:
    """What changes as heads are switched off, one at a time, and all of the chosen ones together."""

    method: AblationMethod
    heads: Sequence[HeadChange]
    together: HeadChange | None = None  # under the first of them; None: they were not chosen
    heads_together: Sequence[HeadPlace] = ()
    replaced_by: str = ""  # what contexts were replaced by, in words
    keeps_patterns: bool = False


@record(frozen=True, slots=True)
class LookEffect:
    """What a head adds to a logit with one of its keys."""

    head: HeadPlace
    key: int
    weight: float
    effect: float


@record(frozen=True, slots=True)
class KeptShare:
    """How many of the heads' edges a graph has, and which share of their absolute weights."""

    asked: float
    held: float
    kept: int
    total: int


@record(frozen=True, slots=True)
class KeptLooks:
    """The strongest looks that together hold a share of the whole."""

    looks: Sequence[LookEffect]
    share: KeptShare


@record(frozen=True, slots=True)
class Effects:
    """The answer to what the model predicts at a position, and what its heads do to that."""

    position: int
    is_next: bool  # whether the prediction is about the token that follows
    predictions: Sequence[Prediction]  # the likeliest first
    target: Prediction
    against: Prediction | None = None
    direct: DirectEffects | None = None  # None: they do not add up, with the reason
    reason: str = ""
    looks: Sequence[LookEffect] = ()  # those with the largest effects first
    ablation: AblationEffects | None = None
    patterns: Mapping[HeadPlace, Pattern] = field(default_factory=dict)  # of heads that are known for one
    places: Sequence[HeadPlace] = ()  # the heads that were chosen: those of tables, looks and records
    kept: KeptLooks | None = None  # the looks of a graph; None: none was asked for
