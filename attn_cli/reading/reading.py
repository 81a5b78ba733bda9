"""A text as a model reads it: its tokens and the kind of attention; no layer has run yet."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attn_cli.errors import UsageError
from attn_cli.grid import Sides
from attn_cli.models.backend import estimate_operations, suited_backend
from attn_cli.models.source import Extent, Source, Texts
from attn_cli.models.tokens.token import Token, doubled_start
from attn_cli.reading.long_texts.length import LONG, check_length, check_positions, check_tokens
from attn_cli.reading.window import Window, chosen_window, whole_window
from attn_cli.record import record
from attn_cli.vocabulary import RANDOM, Kind, Step

if TYPE_CHECKING:
    from attn_cli.models.generation.sampling import Sampling
    from attn_cli.reading.chat.message import Chat
    from attn_cli.reading.token_selection.text_side import TextSide
    from attn_cli.reading.words.words import Words


@record(frozen=True, slots=True)
class TextRequest:
    """What a model is to read, and which kind of attention to show."""

    text: str
    pair: str | None = None
    target: str | None = None  # the decoder's text, for encoder-decoder models
    kind: Kind | None = None  # None: the model's first, `self` or `encoder`
    chat: "Chat | None" = None  # the message that `text` is made of; None: it is read as it is


@record(frozen=True, slots=True)
class Generation:
    """How a text goes on before it is read."""

    tokens: int  # at most
    sampling: "Sampling | None" = None  # None: the likeliest token each time


@record(frozen=True, slots=True)
class Continuation:
    """How a text went on."""

    generation: Generation
    request: TextRequest  # with the text before the continuation
    has_ended: bool  # whether the model wrote an end token


@record(frozen=True, slots=True)
class Reading:
    """A text as a model reads it."""

    request: TextRequest
    source: Source
    texts: Texts
    kind: Kind
    continuation: Continuation | None = None  # None: nothing was written
    words: "Words | None" = None  # None: queries and keys are tokens

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens of the text."""
        return self.texts.tokens

    @property
    def queries(self) -> tuple[Token, ...]:
        """The tokens the queries are computed from, or their words."""
        return self.texts.queries(self.kind) if self.words is None else self.words.queries.words

    @property
    def keys(self) -> tuple[Token, ...]:
        """The tokens the keys are computed from, or their words."""
        return self.texts.keys(self.kind) if self.words is None else self.words.keys.words

    @property
    def of_tokens(self) -> "Reading":
        """The same reading with tokens as queries and keys."""
        return self if self.words is None else replace(self, words=None)

    @property
    def extent(self) -> Extent:
        """The layers and heads of this kind of attention."""
        return self.source.kinds[self.kind]

    @property
    def notes(self) -> Iterator[str]:
        """Remarks on what limits the reliability of this reading."""
        chat: tuple[str, ...] = ()
        if self.request.chat is not None:
            from attn_cli.reading.chat.writing import chat_remarks

            chat = tuple(chat_remarks(self.request.chat, self.tokens))
        count = max(len(self.tokens), len(self.texts.target))
        return remarks_on_tokens(self.source, count, self.tokens, self.texts.target, others=chat)

    @property
    def whole(self) -> Window:
        """The whole matrix of this text."""
        return whole_window(len(self.queries), len(self.keys))

    def window(
        self, rows: str | None, columns: str | None, steps: Collection[Step] | None, most: int
    ) -> Window:
        """How much of each matrix to show: the chosen rows and columns, or all of it, or a pooled picture.

        `steps` are the requested steps; a picture has at most `most` rows and `most` columns.

        Raises:
            UsageError: the choice is malformed or out of range, or too large for steps other than weights.
        """
        size = len(self.queries), len(self.keys)
        return chosen_window(size, *self._selected(rows, columns), steps, most)

    def listed(self, rows: str | None, columns: str | None, top: int, few: int | None) -> Window:
        """The `top` largest keys of each of the chosen rows; see `listed_window`.

        Raises:
            UsageError: the choice is malformed or out of range.
        """
        from attn_cli.reading.window import listed_window

        return listed_window((len(self.queries), len(self.keys)), *self._selected(rows, columns), top, few)

    def _selected(
        self, rows: str | None, columns: str | None
    ) -> tuple[Sequence[int] | None, Sequence[int] | None]:
        """The positions of the chosen rows and columns; None: none are chosen."""
        if rows is None and columns is None:
            return None, None
        chosen_rows = None if rows is None else self.select_queries(rows)
        chosen_columns = None if columns is None else self.select_keys(columns, "column", "--columns")
        return chosen_rows, chosen_columns

    def select_queries(self, selection: str) -> tuple[int, ...]:
        """The places of the selected tokens among the queries, or of the words that contain them.

        Raises:
            UsageError: the selection is malformed, out of range, or names text that is not there.
        """
        from attn_cli.reading.token_selection.select import select_tokens  # few commands select tokens

        tokens = select_tokens(selection, self.query_side, "row")
        return tokens if self.words is None else self.words.queries.containing(tokens)

    def select_keys(self, selection: str, what: str, option: str) -> tuple[int, ...]:
        """The same among the keys, which `option` selects as `what`.

        Raises:
            UsageError: as `select_queries`.
        """
        from attn_cli.reading.token_selection.select import select_tokens  # few commands select tokens

        tokens = select_tokens(selection, self.key_side, what, option)
        return tokens if self.words is None else self.words.keys.containing(tokens)

    @property
    def query_side(self) -> "TextSide":
        """The query tokens with their text, to select tokens from."""
        tokens = self.texts.queries(self.kind)
        return self._side(tokens, is_target=self.kind in {Kind.DECODER, Kind.CROSS})

    @property
    def key_side(self) -> "TextSide":
        """The key tokens with their text, to select tokens from."""
        return self._side(self.texts.keys(self.kind), is_target=self.kind is Kind.DECODER)

    def _side(self, tokens: tuple[Token, ...], *, is_target: bool) -> "TextSide":
        from attn_cli.reading.token_selection.text_side import TextSide

        request = self.request
        if is_target:
            return TextSide(tokens, (request.target or "",), "the decoder's text")
        return TextSide(tokens, (request.text,) if request.pair is None else (request.text, request.pair))

    @property
    def written(self) -> tuple[Token, ...]:
        """The tokens that the model wrote: a text's last ones, or the decoder's."""
        return tuple(token for token in self.texts.target or self.tokens if token.generated)

    @property
    def sides(self) -> Sides:
        """The texts of the query and key tokens, or of words and the positions of their first tokens.

        Those that the model wrote are marked.
        """
        sides = self.queries, self.keys
        queries, keys = ([token.name for token in tokens] for tokens in sides)
        if self.words is None:
            return Sides(queries, keys)
        query_numbers, key_numbers = ([word.position for word in words] for words in sides)
        return Sides(queries, keys, query_numbers, key_numbers)

    @property
    def sides_of_pictures(self) -> Sides:
        """The same, with the words to label where there is no room for every token."""
        from attn_cli.reading.token_selection.landmarks import landmarks_of  # only pictures need it

        of_queries = replace(self.query_side, tokens=self.queries)
        of_keys = replace(self.key_side, tokens=self.keys)
        queries = landmarks_of(of_queries)
        keys = queries if of_queries == of_keys else landmarks_of(of_keys)
        return replace(self.sides, landmarks=(queries, keys))

    def with_suited_backend(self, layers: int) -> "Reading":
        """The reading with the library and device that run this many layers fastest."""
        source = self.source
        work = estimate_operations(source.card.width, layers, len(self.queries), len(self.keys))
        backend = suited_backend(source.backend, source.request.device, work)
        return self if backend is source.backend else replace(self, source=source.with_backend(backend))


def read(source: Source, request: TextRequest, *, runs: bool = True) -> Reading:
    """Tokenize the requested text, a chat as the model's template writes it; no layer runs yet.

    `runs`: whether layers will run on it; they run on fewer tokens than can be listed.

    Raises:
        AttnError: a text is too long, has no tokens, or more than the model has positions.
        UsageError: the model takes no second text or no chat, or has no such kind of attention.
    """
    check_length(request.text, "the text")
    check_length(request.pair, "the second text")
    check_length(request.target, "the decoder's text")
    request = _with_chat_written(source, request)
    if request.pair is not None and not source.takes_pairs:
        problem = f"{source.card.name} does not take a second text (--pair)"
        raise UsageError(problem, "put both texts into one")
    kind = _requested_kind(source, request)
    _check_counts(source, request, runs=runs)
    tokens = source.tokens(request.text, request.pair, is_chat=request.chat is not None)
    _check_count(len(tokens), "the text", source, runs=runs)
    target = () if request.target is None else source.target_tokens(request.target)
    if request.target is not None:
        _check_count(len(target), "the decoder's text", source, runs=runs)
    return Reading(request, source, Texts(tokens, target), kind)


def _with_chat_written(source: Source, request: TextRequest) -> TextRequest:
    """The request, whose text is what the template wrote if it is a chat.

    Raises:
        UsageError: there is a second text, or the model has no template.
        AttnError: the template cannot be used.
    """
    if request.chat is None:
        return request
    if request.pair is not None:
        problem = "a chat has one message: --chat and a second text (--pair) were given"
        raise UsageError(problem, "leave out --chat or --pair")
    from attn_cli.reading.chat.writing import write_with_template  # 0.01 s, and few texts are chats

    chat = write_with_template(source, request.chat)
    assert chat.written is not None, "the template has run"
    return replace(request, text=chat.written.text, chat=chat)


def _check_counts(source: Source, request: TextRequest, *, runs: bool) -> None:
    """Count the tokens of long texts before they are made, if they may be too many.

    Raises:
        AttnError: they are.
    """
    if source.card.name == RANDOM or not (runs or source.is_bounded):  # `random` has a limit of its own
        return
    if len(request.text) + len(request.pair or "") > LONG:
        count = source.count(request.text, request.pair, is_chat=request.chat is not None)
        _check_count(count, "the text", source, runs=runs)
    if request.target is not None and len(request.target) > LONG:
        count = source.count(request.target, is_target=True)
        _check_count(count, "the decoder's text", source, runs=runs)


def _check_count(count: int, name: str, source: Source, *, runs: bool) -> None:
    """Raise `AttnError` if the tokens are too many for the model, or none."""
    check_positions(count, name, source)
    if runs:
        check_tokens(count, name)


def remarks_on_tokens(
    source: Source, count: int, *sides: Sequence[Token], others: Sequence[str] = ()
) -> Iterator[str]:
    """Remarks on the tokens that a model reads: on the first ones of each side, and on how many they are."""
    for tokens in sides:
        twice = doubled_start(tokens)
        if twice is not None:
            again = f"the text begins with '{twice.text}', and the model's template adds another"
            yield f"{again}; --no-special leaves out the template's"
    yield from others
    if source.longest is not None and count > source.longest:
        name, longest = source.card.name, source.longest
        yield f"{count:,} tokens are more than the {longest:,} that {name} was made for"
    if source.request.is_causal is not None and source.card.name != RANDOM:
        yield f"{source.card.name} runs with --{'' if source.is_causal else 'no-'}causal"


def check_kind(kind: Kind, source: Source) -> None:
    """Check that the model has this kind of attention.

    Raises:
        UsageError: it does not.
    """
    if kind not in source.kinds:
        problem = f"{source.card.name} has no {kind} attention: it has {' and '.join(source.kinds)}"
        raise UsageError(problem, f"--kind {' or '.join(source.kinds)}")


def _requested_kind(source: Source, request: TextRequest) -> Kind:
    """The requested kind of attention; the model must have it, and a target text exactly if it needs one.

    Raises:
        UsageError: the kind or the target text does not fit.
    """
    if request.kind is not None:
        check_kind(request.kind, source)
    kind = request.kind or next(iter(source.kinds))
    if request.target is not None and not source.has_decoder:
        problem = f"{source.card.name} has no decoder, so it takes no --target"
        raise UsageError(problem, "leave out --target")
    if request.target is None and kind in {Kind.DECODER, Kind.CROSS}:
        problem = f"{kind} attention needs a text for the decoder, and none was given"
        raise UsageError(problem, '--target "Le chat dormait"')
    return kind
