"""One head, from Python: the steps of its computation as NumPy arrays, and what a notebook shows of it."""

from dataclasses import replace
from typing import Any

import numpy.typing as npt

from attn_cli.errors import AttnError, UsageError
from attn_cli.grid import Head
from attn_cli.models.tokens.token import Token
from attn_cli.reading.memory import check_heads_fit
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import ShownLayer, unwarned
from attn_cli.reading.window import Window
from attn_cli.safe_text import printable
from attn_cli.vocabulary import Step

Array = npt.NDArray[Any]


class ShownHead:
    """One head of a reading: T queries, S keys, D features per head, M features of the model.

    Each step is computed when it is asked for, and kept. Arrays are float32, or float64 if the model was
    opened so; `mask` is boolean. They hold the rows and columns that were chosen.
    """

    def __init__(self, reading: Reading, layer: ShownLayer, head: int, window: Window) -> None:
        self._reading, self._layer, self._head, self._window = reading, layer, head, window
        self._known: dict[Step, Head] = {}

    @property
    def layer(self) -> int:
        """The number of its layer."""
        return self._layer.number

    @property
    def head(self) -> int:
        """Its number in the layer."""
        return self._head

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as in `--heads`."""
        return f"{self.layer}.{self.head}"

    @property
    def kv_head(self) -> int:
        """The head whose keys and values it uses: another number if heads share them."""
        return self._layer.layer.kv_head(self._head)

    @property
    def scale(self) -> float | None:
        """What q·k is multiplied by; None: it is not known."""
        return self._layer.layer.scale

    @property
    def query_tokens(self) -> tuple[Token, ...]:
        """The tokens of the rows."""
        return tuple(self._reading.queries[row] for row in self._window.rows)

    @property
    def key_tokens(self) -> tuple[Token, ...]:
        """The tokens of the columns."""
        return tuple(self._reading.keys[column] for column in self._window.columns)

    @property
    def input(self) -> Array:
        """(T, M) X, what the attention layer receives."""
        return self.step(Step.INPUT)

    @property
    def queries(self) -> Array:
        """(T, D) Q, as it enters the dot product."""
        return self.step(Step.QUERIES)

    @property
    def keys(self) -> Array:
        """(S, D) K, as it enters the dot product."""
        return self.step(Step.KEYS)

    @property
    def values(self) -> Array:
        """(S, D) V."""
        return self.step(Step.VALUES)

    @property
    def scores(self) -> Array:
        """(T, S) q·k × scale for every pair, before soft cap, bias and mask."""
        return self.step(Step.SCORES)

    @property
    def bias(self) -> Array:
        """(T, S) what the model adds per position."""
        return self.step(Step.BIAS)

    @property
    def mask(self) -> Array:
        """(T, S) true where the query may look."""
        return self.step(Step.MASK)

    @property
    def logits(self) -> Array:
        """(T, S) what the softmax receives; -inf where it is masked."""
        return self.step(Step.LOGITS)

    @property
    def weights(self) -> Array:
        """(T, S) softmax of the logits; a row sums to 1, less what a learned sink and hidden keys take."""
        return self.step(Step.WEIGHTS)

    @property
    def context(self) -> Array:
        """(T, D) weights × V."""
        return self.step(Step.CONTEXT)

    @property
    def output(self) -> Array:
        """(T, M) its share of the layer's output: context × its slice of W^O."""
        return self.step(Step.OUTPUT)

    @property
    def norms(self) -> Array:
        """(T, S) how much each key adds to its output: weight times the norm of its value times W^O."""
        return self.step(Step.NORMS)

    @property
    def norm_shares(self) -> Array:
        """(T, S) the norms, divided by the sum of their row."""
        return self.step(Step.NORM_SHARES)

    @property
    def value_zeroing(self) -> Array:
        """(T, S) of its whole layer: 1 - cosine of the layer's output with and without a key's values."""
        return self.step(Step.VALUE_ZEROING)

    @property
    def weight_of_sink(self) -> Array | None:
        """(T,) what a learned sink takes of each row; None if it has none."""
        sink = self._with(Step.WEIGHTS).sink
        return None if sink is None else sink.weight

    @property
    def weight_of_hidden(self) -> Array | None:
        """(T,) what hidden keys take of each row; None if none is hidden."""
        hidden = self._with(Step.WEIGHTS).hidden
        return None if hidden is None else hidden.weight

    def step(self, name: str) -> Array:
        """A step by its name: `queries`, `scores`, `weights`, ... as `--step` takes them.

        Raises:
            AttnError: the model does not expose it, with the reason; or a number in it is not finite.
            UsageError: there is no such step.
        """
        try:
            step = Step(name)
        except ValueError:
            names = ", ".join(Step)
            raise UsageError(f"unknown step: '{printable(str(name))}'", f"one of {names}") from None
        head = self._with(step)
        if step not in head.steps:
            card = self._reading.source.card
            raise AttnError(f"{card.name} has no {step}: {head.absent[step]}", "logits or weights")
        return head.steps[step]

    @unwarned
    def _with(self, step: Step) -> Head:
        """The head with that step."""
        if step not in self._known:
            self._known[step] = self._computed(step, self._window)
        return self._known[step]

    def _computed(self, step: Step, window: Window) -> Head:
        check_heads_fit(self._reading, [(self.layer, self._head)], (step,), window)
        (head,) = self._layer.heads([self._head], (step,), window)
        return head

    def _repr_html_(self) -> str:
        """In a notebook: the page of its layer in a frame, or a table of chosen rows and of long texts."""
        from attn_cli.api.shown import shown_in_notebook

        first = replace(self._window, rows=self._window.rows[:1])
        check_heads_fit(self._reading, [(self.layer, self._head)], (Step.WEIGHTS,), first)
        return shown_in_notebook(self._reading, self._layer, self._head, self._window)

    def __repr__(self) -> str:
        size = f"{len(self._window.rows)} × {len(self._window.columns)} tokens"
        return f"<ShownHead {self.name} of {printable(self._reading.source.card.name)}: {size}>"
