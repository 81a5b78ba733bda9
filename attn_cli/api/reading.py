"""A text as a model reads it, from Python: its tokens, its heads and their metrics."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from attn_cli.api.head import ShownHead
from attn_cli.api.layer_run import LayerRun
from attn_cli.api.metrics import HeadMetrics
from attn_cli.api.predictions import ModelPredictions
from attn_cli.core.hiding import Hiding
from attn_cli.errors import UsageError
from attn_cli.models.tokens.token import Token
from attn_cli.reading.hidden_keys import choose_hidden_keys, refuse_dividing
from attn_cli.reading.measurement.focus import check_looks, choose_focus
from attn_cli.reading.metrics import measure_heads
from attn_cli.reading.predictions import predict
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place, Selection
from attn_cli.reading.steps import unwarned
from attn_cli.reading.token_selection.select import select_tokens
from attn_cli.reading.token_selection.text_side import TextSide
from attn_cli.reading.window import Window
from attn_cli.safe_text import printable
from attn_cli.vocabulary import Step

Tokens: TypeAlias = str | int | Iterable[int]
"""Which tokens: `"it"`, `"4-7"` or `"special"` as on the command line, or positions."""


class ModelReading:
    """A text that a model reads; layers run when a head is asked for, each once in ascending order."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._run = LayerRun(reading)

    @property
    def text(self) -> str:
        """The text as it was given."""
        return self._reading.request.text

    @property
    def kind(self) -> str:
        """The kind of attention that is read."""
        return str(self._reading.kind)

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the text."""
        return self._reading.tokens

    @property
    def query_tokens(self) -> tuple[Token, ...]:
        """The tokens that look: the T rows of a matrix."""
        return self._reading.queries

    @property
    def key_tokens(self) -> tuple[Token, ...]:
        """The tokens that are looked at: the S columns of a matrix."""
        return self._reading.keys

    def head(
        self,
        layer: int,
        head: int,
        *,
        rows: Tokens | None = None,
        columns: Tokens | None = None,
        hide: Tokens | None = None,
        renormalize: bool = False,
    ) -> ShownHead:
        """One head: every step of its computation, as NumPy arrays.

        `rows` and `columns` select queries and keys, `hide` takes keys out of sight, and `renormalize`
        divides each row by what is left of it. Layers and heads are numbered from 0, from the end if
        negative.

        Raises:
            AttnError: the weights are damaged.
            UsageError: there is no such head, or a selection does not fit the text.
        """
        (place,) = self._places([f"{layer}.{head}"])
        return self._shown(place, self._window(rows, columns, hide, renormalize=renormalize))

    def heads(self) -> Iterator[ShownHead]:
        """All heads, layer by layer, without running a layer twice."""
        for place in self._places(()):
            yield self._shown(place, self._reading.whole)

    def metrics(
        self,
        *,
        rows: Tokens | None = None,
        on: Tokens | None = None,
        hide: Tokens | None = None,
        renormalize: bool = False,
    ) -> HeadMetrics:
        """Entropy, largest weight, distance and all other metrics of every head, as `attn heads` has them.

        `rows`: means over these queries alone, without patterns; `on`: the weight on these keys too, as the
        metric `on`. Memory grows with the text, not with its square.

        Raises:
            AttnError: the weights are damaged, or memory is too small.
            UsageError: a selection does not fit the text, all keys are hidden, or nothing may be looked at.
        """
        hiding = self._hiding(hide, renormalize=renormalize)
        typed, typed_on = (None if tokens is None else _as_selection(tokens) for tokens in (rows, on))
        focus = choose_focus(self._reading, typed, typed_on, hiding)
        named = rows is None
        heads = measure_heads(self._reading, self._places(()), _unseen, hiding, names=named, focus=focus)
        check_looks(heads, focus)
        return HeadMetrics(heads)

    def predictions(self, *, rows: Tokens | None = None, count: int = 5) -> ModelPredictions:
        """What the model expects after each token, or at `rows`: its `count` likeliest tokens.

        Masked models predict their masked tokens, or what stands at `rows`; encoder-decoder models the
        decoder's text, whatever `kind` is read.

        Raises:
            AttnError: the model has no language head that is known, or memory is too small.
            UsageError: a selection does not fit the text, or the count the vocabulary.
        """
        if count < 1:
            raise UsageError(f"count is {count}, which is not at least 1", "count=5")
        typed = None if rows is None else _as_selection(rows)
        return ModelPredictions(_predict(self._reading, typed, count))

    def _repr_html_(self) -> str:
        """In a notebook: the head that `attn inspect` shows by default, as it shows itself."""
        from attn_cli.api.shown import shown_in_notebook
        from attn_cli.reading.default_head import choose_default_head

        reading = self._reading
        rows = replace(reading.whole, rows=reading.whole.rows[:1])
        found = choose_default_head(reading, (Step.WEIGHTS,), rows)
        return shown_in_notebook(reading, found.shown, found.head.head, reading.whole)

    def _shown(self, place: Place, window: Window) -> ShownHead:
        layer, head = place
        return ShownHead(self._reading, self._run.layer(layer), head, window)

    def _places(self, named: Iterable[str]) -> tuple[Place, ...]:
        card, extent = self._reading.source.card, self._reading.extent
        layers = 1 + max((*extent.layers, *extent.others))
        chosen = Selection(places=tuple(named)).resolve(card.name, layers, extent.heads)
        found = tuple(place for place in chosen if place[0] in extent.layers)
        if not found:
            those = ", ".join(map(str, extent.layers))
            problem = f"layer {chosen[0][0]} of {card.name} has no token-by-token weights"
            raise UsageError(problem, f"layers with attention weights: {those}")
        return found

    def _window(
        self, rows: Tokens | None, columns: Tokens | None, hide: Tokens | None, *, renormalize: bool
    ) -> Window:
        reading, window = self._reading, self._reading.whole
        if rows is not None:
            window = replace(window, rows=_positions(rows, reading.query_side, "row"))
        if columns is not None:
            window = replace(window, columns=_positions(columns, reading.key_side, "column"))
        hiding = self._hiding(hide, renormalize=renormalize)
        if hiding is None:
            return window
        shown = window.without(hiding)
        if not shown.columns:
            raise UsageError("hide leaves nothing to see of the chosen columns", "other columns")
        return shown

    def _hiding(self, hide: Tokens | None, *, renormalize: bool) -> Hiding | None:
        if hide is None:
            if renormalize:
                raise refuse_dividing()
            return None
        return choose_hidden_keys(self._reading, [_as_selection(hide)], is_renormalized=renormalize)

    def __repr__(self) -> str:
        name, kind = self._reading.source.card.name, self._reading.kind
        size = f"{len(self.query_tokens)} × {len(self.key_tokens)} tokens"
        return f"<ModelReading of {printable(name)}: {kind} attention, {size}>"


_predict = unwarned(predict)


def _positions(tokens: Tokens, side: TextSide, what: str) -> tuple[int, ...]:
    return select_tokens(_as_selection(tokens), side, what)


def _as_selection(tokens: Tokens) -> str:
    """The tokens as they are typed on the command line."""
    if isinstance(tokens, str):
        return tokens
    positions = (tokens,) if isinstance(tokens, int) else tokens
    return ",".join(str(int(position)) for position in positions)


def _unseen(done: int, total: int) -> None:
    """A measurement whose progress is not shown."""
