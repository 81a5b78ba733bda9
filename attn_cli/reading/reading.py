"""A text as a model reads it: its tokens and the kind of attention; no layer has run yet."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from attn_cli.errors import AttnError, UsageError
from attn_cli.grid import Sides
from attn_cli.models.backend import estimate_operations, suited_backend
from attn_cli.models.source import Extent, Source, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.reading.window import TextSide, Window, chosen_window, whole_window
from attn_cli.record import record
from attn_cli.vocabulary import RANDOM, Kind, Step


@record(frozen=True, slots=True)
class TextRequest:
    """What a model is to read, and which of its kinds of attention is meant."""

    text: str
    pair: str | None = None
    target: str | None = None  # what the decoder of an encoder-decoder model reads
    kind: Kind | None = None  # None: the model's first, `self` or `encoder`


@record(frozen=True, slots=True)
class Reading:
    """A text as a model reads it."""

    request: TextRequest
    source: Source
    texts: Texts
    kind: Kind

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the text."""
        return self.texts.tokens

    @property
    def queries(self) -> tuple[Token, ...]:
        """The tokens that look."""
        return self.texts.queries(self.kind)

    @property
    def keys(self) -> tuple[Token, ...]:
        """The tokens that are looked at."""
        return self.texts.keys(self.kind)

    @property
    def extent(self) -> Extent:
        """Which layers attend, and with how many heads."""
        return self.source.kinds[self.kind]

    @property
    def notes(self) -> Iterator[str]:
        """What a person should know of this reading before trusting it."""
        source, count = self.source, max(len(self.tokens), len(self.texts.target))
        if source.longest is not None and count > source.longest:
            yield f"{count} tokens are more than the {source.longest} that {source.card.name} was made for"
        if source.request.is_causal is not None and source.card.name != RANDOM:
            yield f"{source.card.name} is read with --{'' if source.is_causal else 'no-'}causal"

    @property
    def whole(self) -> Window:
        """All of a matrix of this text."""
        return whole_window(len(self.queries), len(self.keys))

    def window(
        self, rows: str | None, columns: str | None, steps: Collection[Step] | None, most: int
    ) -> Window:
        """How much of each matrix is shown: the rows and columns that were chosen, or all, or a picture.

        `steps` are those that were asked for; a picture has at most `most` rows and columns.

        Raises:
            UsageError: the choice is malformed or out of range; or all is too large, and no weights alone.
        """
        decoder = "the decoder's text"
        of_queries = decoder if self.kind in {Kind.DECODER, Kind.CROSS} else "the text"
        of_keys = decoder if self.kind is Kind.DECODER else "the text"
        queries, keys = TextSide(len(self.queries), of_queries), TextSide(len(self.keys), of_keys)
        return chosen_window(queries, keys, rows, columns, steps, most)

    @property
    def sides(self) -> Sides:
        """What each token stands for."""
        return Sides([token.text for token in self.queries], [token.text for token in self.keys])

    def with_suited_backend(self, layers: int) -> "Reading":
        """The reading with the library, and the device, that are soonest done with so many layers of it."""
        source = self.source
        work = estimate_operations(source.card.width, layers, len(self.queries), len(self.keys))
        backend = suited_backend(source.backend, source.request.device, work)
        return self if backend is source.backend else replace(self, source=source.with_backend(backend))


def read(source: Source, request: TextRequest) -> Reading:
    """The text that is asked for, cut into the model's tokens; no layer has run yet.

    Raises:
        AttnError: the text has no tokens, or more than the model has positions.
        UsageError: the model takes no second text, or has no such kind of attention.
    """
    if request.pair is not None and not source.takes_pairs:
        problem = f"{source.card.name} reads one text, and --pair gives a second"
        raise UsageError(problem, "put both in one text")
    kind = _requested_kind(source, request)
    tokens = _bounded("the text", source.tokens(request.text, request.pair), source)
    target = () if request.target is None else source.target_tokens(request.target)
    if request.target is not None:
        target = _bounded("the decoder's text", target, source)
    return Reading(request, source, Texts(tokens, target), kind)


def check_kind(kind: Kind, source: Source) -> None:
    """Raise `UsageError` where the model has no such attention.

    Raises:
        UsageError: it has none.
    """
    if kind not in source.kinds:
        problem = f"{source.card.name} has no {kind} attention: it has {' and '.join(source.kinds)}"
        raise UsageError(problem, f"--kind {' or '.join(source.kinds)}")


def _requested_kind(source: Source, request: TextRequest) -> Kind:
    """The kind of attention that was asked for, once it is seen to be there, and the decoder's text too.

    Raises:
        UsageError: one of them is not.
    """
    if request.kind is not None:
        check_kind(request.kind, source)
    kind = request.kind or next(iter(source.kinds))
    if request.target is not None and not source.has_decoder:
        problem = f"{source.card.name} has no decoder, and --target gives a text for one"
        raise UsageError(problem, "leave --target out")
    if request.target is None and kind in {Kind.DECODER, Kind.CROSS}:
        problem = f"{kind} attention looks from the decoder's text, and none was given"
        raise UsageError(problem, '--target "Le chat dormait"')
    return kind


def _bounded(text_name: str, tokens: tuple[Token, ...], source: Source) -> tuple[Token, ...]:
    """The tokens, if there are some and the model has a position for each.

    Raises:
        AttnError: there are none, or too many.
    """
    if not tokens:
        raise AttnError(f"{text_name} has no tokens", "give one with words")
    if source.is_bounded and source.longest is not None and len(tokens) > source.longest:
        size = f"{len(tokens)} tokens, and {source.card.name} has {source.longest} positions"
        problem = f"{text_name} is too long: {size}"
        raise AttnError(problem, "shorten the text, or use a model with more positions")
    return tokens
