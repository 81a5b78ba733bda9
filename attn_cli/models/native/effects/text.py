"""What the heads of a native model do to its predictions of one text."""

from collections import deque
from collections.abc import Iterator, Sequence

from attn_cli.core.arrays import Array
from attn_cli.models.native.effects.ablation import AblatedRuns, contexts_of, numbers_of_runs
from attn_cli.models.native.effects.attribution import NativeAttribution, NativeRun, check_additive
from attn_cli.models.native.effects.directions import Directions
from attn_cli.models.native.effects.rows import NativeRowsRun
from attn_cli.models.native.language_head.prediction import NativeHead, NativePredictor
from attn_cli.models.native.transformer import Inputs, Memory, Transformer
from attn_cli.models.predictions import RunProgress, Variant
from attn_cli.record import record
from attn_cli.vocabulary import Kind

_COPIES = 3  # of logits: in float32, and in float64


@record(frozen=True, slots=True, eq=False)
class NativeEffects:
    """One text, the layers that read it, and the language head that they lead to."""

    language_head: NativeHead
    inputs: Inputs
    kind: Kind  # of the self-attention
    memory: Memory | None = None

    @property
    def _model(self) -> Transformer:
        return self.language_head.model

    @property
    def is_next(self) -> bool:
        """Whether a position is about the token that follows, and not about the one in its own place."""
        return self._model.spec.is_causal

    @property
    def length(self) -> int:
        """T, the number of tokens that are predicted from."""
        return len(self.inputs.ids)

    @property
    def head_size(self) -> int:
        """D, the number of features of a head's contexts."""
        return self._model.spec.head_size

    def numbers_held(self, runs: int, compared: int) -> int:
        """How many numbers are held at once, at most, with so many runs without a head.

        Without any these are what direct effects need. The logits of `compared` runs are held together.
        """
        spec = self._model.spec
        values = len(self.places) * self.length * spec.head_size
        if not runs:
            return values
        logits = _COPIES * compared * self.language_head.vocabulary
        return 2 * values + numbers_of_runs(spec, self.length, runs) + logits

    @property
    def places(self) -> list[tuple[Kind, int, int]]:
        """The kind of attention, the layer and the number of each head, layer by layer."""
        spec = self._model.spec
        kinds = (self.kind,) if spec.cross is None else (self.kind, Kind.CROSS)
        return [
            (kind, layer, head)
            for layer in range(spec.layers)
            for kind in kinds
            for head in range(spec.heads)
        ]

    def attribution(self, position: int) -> NativeAttribution:
        """The logits at a position, split by what wrote them; the layers run once.

        Raises:
            AttnError: they are no sum of what components write, or the weights are damaged.
        """
        run = self.run(position)
        deque(run.layers(), maxlen=0)
        return run.attribution()

    def check_direct(self) -> None:
        """Check that logits are a sum of what components write.

        Raises:
            AttnError: they are not.
        """
        check_additive(self._model.spec)
        Directions(self.language_head).check_linear()

    def run_at(self, rows: Sequence[int], tokens: Sequence[int]) -> NativeRowsRun:
        """A run of the layers that leads to what heads add to one token after each of these rows.

        Raises:
            AttnError: logits are no sum of what components write.
        """
        self.check_direct()
        return NativeRowsRun(self.language_head, self.inputs, self.kind, self.memory, rows, tokens)

    def run(self, position: int) -> NativeRun:
        """A run of the layers that leads to the logits at a position; they run as they are iterated over.

        Raises:
            AttnError: logits are no sum of what components write.
        """
        check_additive(self._model.spec)
        return NativeRun(self.language_head, self.inputs, self.kind, position, self.memory)

    def ablated(
        self,
        variants: Sequence[Variant],
        position: int,
        progress: RunProgress,
        *,
        keeps_patterns: bool = False,
    ) -> NativePredictor:
        """The predictions at a position: row 0 those of the clean run, then one row for each variant.

        Raises:
            AttnError: the weights are damaged.
        """
        runs = AblatedRuns(self._model, self.inputs, self.memory, keeps_patterns)
        output = runs.outputs(variants, position, progress)
        return NativePredictor(self.language_head, lambda: output)

    def contexts(self) -> Iterator[tuple[Kind, int, Array]]:
        """(H, T, D) the contexts of the heads of each layer, in ascending order.

        Raises:
            AttnError: the weights are damaged.
        """
        return contexts_of(self._model, self.inputs, self.kind, self.memory)
