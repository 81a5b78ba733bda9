"""What each head adds to the logit of the token that really follows, at every row of a text."""

from collections.abc import Iterator, Sequence

import numpy as np

from attn_cli.core.arrays import Exact
from attn_cli.errors import AttnError
from attn_cli.models.source import Layer, Source, Texts
from attn_cli.reading.reading import Reading
from attn_cli.reading.steps import check_finite
from attn_cli.record import record
from attn_cli.vocabulary import Metric

_VECTORS = 6  # of M numbers of 4 bytes held per row: what the language head reads of it, and of its contexts
_OTHERWISE = "a decoder such as storybook, or no {option}"


def check_follows(source: Source, option: str) -> None:
    """Check that the heads of a model have direct effects on the token that follows; `option` asks for them.

    Raises:
        AttnError: they have none, or it is not known which.
    """
    name, hint = source.card.name, _OTHERWISE.format(option=option)
    if source.has_decoder:
        problem = f"{name} has no {Metric.DIRECT} effects here: its decoder has no text"
        raise AttnError(problem, f"attn effects TEXT --target TEXT, or no {option}")
    try:
        effects = source.effects(Texts(()))
        if effects.is_next:
            effects.check_direct()
    except AttnError as error:
        raise AttnError(error.problem, hint) from error
    if not effects.is_next:
        raise AttnError(f"{name} predicts masked tokens, not the one that follows", hint)


@record(frozen=True, slots=True)
class Following:
    """The rows of a text that a token follows, and the ids of these tokens."""

    rows: tuple[int, ...]
    tokens: tuple[int, ...]


def following_of(reading: Reading, after: int | None, chosen: Sequence[int] | None = None) -> Following:
    """The rows of a text, or those of them that are `chosen`, that a token follows.

    `after` is the id of the token that follows the last one of the text, if the text is a part of a longer
    one; special tokens after that are followed by none. None: the text ends there.
    """
    tokens = reading.tokens
    followed = [token.id for token in tokens[1:]]
    if after is not None:
        last = max((at for at, token in enumerate(tokens) if not token.special), default=-1)
        followed = [*followed[: max(last, 0)], after] if last >= 0 else []
    rows = [row for row in (range(len(tokens)) if chosen is None else chosen) if row < len(followed)]
    return Following(tuple(rows), tuple(followed[row] for row in rows))


class FollowingRun:
    """A run of all layers that others measure too, and what heads add to the tokens that follow its rows."""

    def __init__(self, reading: Reading, following: Following) -> None:
        """No layer runs yet.

        Raises:
            AttnError: the heads have no direct effects.
        """
        effects = reading.source.effects(reading.texts)
        self._run, self._places = effects.run_at(following.rows, following.tokens), effects.places
        self.rows = len(following.rows)
        self.numbers_held = self.rows * (2 * len(self._places) + _VECTORS * reading.source.card.width)

    def layers(self, numbers: Sequence[int]) -> Iterator[tuple[int, Layer]]:
        """The layers with these numbers, in ascending order, as they run; all of them do.

        Raises:
            AttnError: the weights are damaged.
        """
        for number, attention in enumerate(self._run.layers()):
            if number in numbers:
                yield number, attention

    def effects(self) -> Exact:
        """(N,) the mean of each head over the rows, layer by layer, once all layers have run.

        Raises:
            AttnError: one is not a finite number.
        """
        means = np.asarray(self.of_rows().mean(axis=0))
        for (_, layer, head), mean in zip(self._places, means, strict=True):
            check_finite(bool(np.isfinite(mean)), f"direct effects of head {layer}.{head}")
        return means

    def of_rows(self) -> Exact:
        """(R, N) the same of each row."""
        return self._run.effects()
