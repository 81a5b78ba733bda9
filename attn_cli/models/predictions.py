"""The interface of what a model predicts, and of what its heads do to that: parts, and runs without heads."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from attn_cli.core.arrays import Array, Exact, Floats
from attn_cli.record import record
from attn_cli.vocabulary import Kind

if TYPE_CHECKING:
    from attn_cli.core.decomposition import Component
    from attn_cli.core.multihead import Attention


class Predictor(Protocol):
    """What a model expects at the tokens of one text: logits over its vocabulary."""

    @property
    def is_next(self) -> bool:
        """Whether a row is about the token that follows, and not about the one in its own place."""

    @property
    def vocabulary(self) -> int:
        """V, the number of tokens, with those that only fill up the matrix."""

    def logits(self, rows: Sequence[int]) -> Floats:
        """(R, V) the logits of these rows; those of other rows are not computed."""


@record(frozen=True, slots=True, eq=False)
class Parts:
    """What each of N components adds to a logit, or to a difference of logits; it is their sum."""

    components: "Sequence[Component]"
    effects: Exact  # (N,)
    constant: float  # the shift of the final norm, and the bias of the language head

    @property
    def total(self) -> float:
        """The logit, as the sum of its parts."""
        return float(self.effects.sum()) + self.constant


@record(frozen=True, slots=True, eq=False)
class Looks:
    """What each key of a row adds through each head of a layer; H heads, S keys."""

    kind: Kind
    layer: int
    weights: Exact  # (H, S)
    effects: Exact  # (H, S) a head's sum is what the head adds


@record(frozen=True, slots=True, eq=False)
class SwitchedHead:
    """A head whose contexts are replaced before they meet W^O."""

    kind: Kind  # cross for cross-attention, else that of the model's own
    layer: int
    head: int
    contexts: Array  # (T, D), or (D,) at every position
    rows: Sequence[int] | None = None  # the positions where they are replaced; None: all


Variant: TypeAlias = Sequence[SwitchedHead]
"""A run of a text in which these heads are switched off."""

RunProgress: TypeAlias = Callable[[int, int], None]
"""Called with the number of layers that have run, and how many will."""


class Attribution(Protocol):
    """The logits at one position, split by what wrote them."""

    @property
    def logits(self) -> Exact:
        """(V,) as the model computes them, after a soft cap."""

    @property
    def softcap(self) -> float | None:
        """The cap that logits pass afterwards: what is split is the logit before. None: there is none."""

    @property
    def uncapped_logits(self) -> Exact:
        """(V,) the logits before the soft cap."""

    def parts(self, token: int, against: int | None) -> Parts:
        """What each component adds to a token's logit, less another's or the mean of the vocabulary.

        Raises:
            AttnError: the head is not linear.
        """

    def looks(self, token: int, against: int | None) -> Iterator[Looks]:
        """The same of each head's keys, layer by layer."""


class AttributedRun(Protocol):
    """A run of all layers that is also seen by others, and what it leads to at one position."""

    def layers(self) -> "Iterator[Attention]":
        """The attention of each layer, in ascending order, as the layers run; call it once."""

    def attribution(self) -> Attribution:
        """The logits at the position, split by what wrote them, once all layers have run."""


class RowsRun(Protocol):
    """A run of all layers that is also seen by others, and what N heads add to a token after each row."""

    def layers(self) -> "Iterator[Attention]":
        """The attention of each layer, in ascending order, as the layers run; call it once."""

    def effects(self) -> Exact:
        """(R, N) on the token's logit less the mean of the vocabulary, once all layers have run.

        Heads are in the order of `HeadEffects.places`.
        """


class HeadEffects(Protocol):
    """What the heads of a model do to its predictions of one text."""

    @property
    def is_next(self) -> bool:
        """Whether a position is about the token that follows, and not about the one in its own place."""

    @property
    def length(self) -> int:
        """T, the number of tokens that are predicted from."""

    @property
    def head_size(self) -> int:
        """D, the number of features of a head's contexts."""

    def numbers_held(self, runs: int, compared: int) -> int:
        """How many numbers are held at once, at most, with so many runs without a head.

        Without any these are what direct effects need. The logits of `compared` runs are held together.
        """

    @property
    def places(self) -> "Sequence[tuple[Kind, int, int]]":
        """The kind of attention, the layer and the number of each head, layer by layer."""

    def run(self, position: int) -> AttributedRun:
        """A run of the layers that leads to the logits at a position; they run as they are iterated over.

        Raises:
            AttnError: logits are no sum of what components write.
        """

    def check_direct(self) -> None:
        """Check that logits are a sum of what components write.

        Raises:
            AttnError: they are not.
        """

    def run_at(self, rows: Sequence[int], tokens: Sequence[int]) -> RowsRun:
        """A run of the layers that leads to what heads add to one token after each of these rows.

        Raises:
            AttnError: logits are no sum of what components write.
        """

    def attribution(self, position: int) -> Attribution:
        """The logits at a position, split by what wrote them; the layers run once.

        Raises:
            AttnError: they are no sum of what components write, or the weights are damaged.
        """

    def ablated(
        self,
        variants: Sequence[Variant],
        position: int,
        progress: RunProgress,
        *,
        keeps_patterns: bool = False,
    ) -> Predictor:
        """The predictions at a position: row 0 those of the clean run, then one row for each variant.

        Raises:
            AttnError: the weights are damaged.
        """

    def contexts(self) -> Iterator[tuple[Kind, int, Array]]:
        """(H, T, D) the contexts of the heads of each layer, in ascending order."""
