"""How commands present their results: the files they write, and the lines above a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.safe_text import label
from attn_cli.show.writers import STEPS, Content, FileKind, Picture, either
from attn_cli.vocabulary import WRITTEN, Kind

if TYPE_CHECKING:
    from attn_cli.commands.pictures.options import PictureOptions
    from attn_cli.grid import Grid, Head
    from attn_cli.models.source import Source
    from attn_cli.models.tokens.token import Token
    from attn_cli.reading.reading import Reading
    from attn_cli.show.picture.canvas import Canvas
    from attn_cli.show.picture.heading import Heading
    from attn_cli.show.picture.marks import Drawing
    from attn_cli.vocabulary import Pattern

_CELLS = 1024  # along each side of a picture: about as many as a screen has pixels
PICTURE_CELLS = 320  # the same of a picture: on a page a line of one cell has two pixels
_FINEST = 300  # cells per inch, whatever the resolution: no reader sees more
_FEWEST_CELLS = 128  # along each side, for one head among many
_SHORT = 64  # tokens: a text up to this length is listed even above a part of its matrix
_SPANS = 4  # of positions in a sentence; if there are more, the positions are counted
_CHARACTERS = 12  # named in a remark
_CELL_LINES = 3  # of the tokens at which cells begin


def show_reading(world: World, reading: "Reading", shown: "Head | None" = None, most: int = 12) -> None:
    """Print the model, then the tokens on at most `most` lines.

    If `shown` is a part of a long text, or averaged over blocks, one or two lines say so instead.
    """
    from attn_cli.show.terminal.lists import Paragraph  # rich: 0.06 s

    world.screen.print(Paragraph(headline(reading), between=" · "))
    if shown is None or _is_listed(reading, shown):
        for named in filter(None, _lists(reading)):
            world.screen.print(Paragraph(named, rest="all tokens: attn tokens", most=most))
    elif shown.is_pooled:
        for phrases in _cell_starts(reading, shown):
            world.screen.print(Paragraph(phrases, rest="all tokens: attn tokens", most=_CELL_LINES))
    else:
        world.screen.print(Paragraph([f"{_parts(reading, shown)} shown; all tokens: attn tokens"]))


def show_hidden(world: World, reading: "Reading", hidden: Sequence[int]) -> None:
    """Print the hidden keys, if there are any."""
    show_tokens(world, "hidden", [reading.keys[key] for key in hidden])


def show_tokens(world: World, word: str, tokens: "Sequence[Token]") -> None:
    """Print some of the tokens after a word that says what they are, if there are any."""
    if not tokens:
        return
    from attn_cli.show.terminal.lists import Paragraph  # rich: already imported

    first, *others = _named(tokens)
    world.screen.print(
        Paragraph([f"{word}: {first}", *others], rest="all tokens: attn tokens", most=_CELL_LINES)
    )


def _lists(reading: "Reading") -> "Iterator[list[str]]":
    """The tokens of the text and of the decoder's, or words after the positions of their tokens."""
    if reading.words is None:
        yield from map(_named, (reading.tokens, reading.texts.target))
        return
    for side in dict.fromkeys((reading.words.keys, reading.words.queries)):
        pairs = zip(side.members, side.words, strict=True)
        yield [f"{','.join(spans(tokens))} {label(word.name)}" for tokens, word in pairs]


def _is_listed(reading: "Reading", shown: "Head") -> bool:
    """Whether the tokens are listed: the matrix is complete, or there are few."""
    sides = ((shown.queries, reading.queries), (shown.keys, reading.keys))
    is_whole = not (shown.is_pooled or shown.rankings) and all(
        len(places) == len(tokens) for places, tokens in sides
    )
    return is_whole or max(len(reading.tokens), len(reading.texts.target)) <= _SHORT


def _named(tokens: "Iterable[Token]") -> list[str]:
    """Each token after its position."""
    return [f"{token.position} {label(token.name)}" for token in tokens]


def _cell_starts(reading: "Reading", pooled: "Head") -> "Iterator[list[str]]":
    """The tokens at which the averaged blocks begin: for columns, and for rows if they differ."""
    columns = _named(reading.keys[place] for place in pooled.keys)
    rows = _named(reading.queries[place] for place in pooled.queries)
    if rows == columns:
        yield ["cells begin at", *columns]
    else:
        yield ["rows begin at", *rows]
        yield ["columns begin at", *columns]


def _parts(reading: "Reading", shown: "Head") -> str:
    """The rows and columns shown, and the totals: `rows 3-5 and columns 0-64 of 2,492 tokens are`."""
    queries, keys = len(reading.queries), len(reading.keys)
    of_queries = "" if queries == keys else f" of {queries:,} {_noun(reading)}s"
    places = [_tokens_at(reading, shown, of_keys=of_keys) for of_keys in (False, True)]
    rows = _part("row", shown.queries, queries, places[0])
    if shown.rankings and len(shown.keys) == keys:  # the tables say how many are listed
        verb = "is" if len(shown.queries) == 1 else "are"
        return f"{rows} of {queries:,} {_noun(reading)}s {verb}"
    columns = _part("column", shown.keys, keys, places[1])
    return f"{rows}{of_queries} and {columns} of {keys:,} {_noun(reading)}s are"


def _tokens_at(reading: "Reading", shown: "Head", *, of_keys: bool) -> Sequence[int]:
    """The positions of the tokens along one side of a head, as `--rows` takes them."""
    places = shown.keys if of_keys else shown.queries
    if reading.words is None:
        return places
    members = (reading.words.keys if of_keys else reading.words.queries).members
    return sorted(position for place in places for position in members[place])


def _noun(reading: "Reading") -> str:
    """What queries and keys are."""
    return "token" if reading.words is None else "word"


def _part(noun: str, places: Sequence[int], count: int, tokens: Sequence[int]) -> str:
    """The rows or columns shown, at the positions of `tokens`: `rows 3-5, 9`."""
    if len(places) == count:
        return f"all {noun}s"
    listed = spans(tokens)
    if len(listed) > _SPANS:
        return f"{len(places):,} {noun}s"
    return f"{noun if len(places) == 1 else noun + 's'} {', '.join(listed)}"


def spans(places: Sequence[int]) -> list[str]:
    """Positions as a user would type them, consecutive ones as a range."""
    starts = [place for before, place in pairwise((-2, *places)) if place != before + 1]
    ends = [place for place, after in pairwise((*places, -2)) if after != place + 1]
    return [f"{start}" if start == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=True)]


def headline(reading: "Reading") -> list[str]:
    """The model, its size, what it reads, and the backend, number format and device, as phrases."""
    tokens = counted(len(reading.tokens), "token")
    if reading.written:
        tokens += f", {len(reading.written):,} generated ({WRITTEN})"
    words = "" if reading.words is None else f"in {counted(len(reading.keys), 'word')}"
    read = " ".join(filter(None, (tokens, words)))
    return headline_of(reading.source, *filter(None, (kind_of(reading),)), read)


def headline_of(source: "Source", *what: str) -> list[str]:
    """The headline of a model; `what` are phrases about what it reads."""
    card, backend = source.card, source.backend
    return [
        *dict.fromkeys((card.name, card.type)),
        size(card.layers, card.heads, card.head_size),
        *what,
        f"{backend.name}, {backend.dtype}, {backend.device}",
    ]


def kind_of(reading: "Reading") -> str:
    """The kind of attention if the model has several, else empty."""
    return "" if reading.kind is Kind.SELF else f"{reading.kind} attention"


def known_for(heads: "Mapping[Pattern, Sequence[tuple[str, float]]]") -> list[tuple[str, str]]:
    """A row per pattern: its name, and the heads known for it with their scores."""
    return [
        (pattern, "  ".join(f"{name} {score:.2f}" for name, score in known))
        for pattern, known in heads.items()
    ]


def size(layers: int, heads: int, features: int) -> str:
    """The size of a model's attention: layers, heads, features."""
    return f"{counted(layers, 'layer')} × {counted(heads, 'head')} of {features} features"


def fitting(world: World, reading: "Reading", digits: int, hides: object = None) -> int:
    """The number of rows and columns of block averages that fit the terminal.

    `hides`: whether any key is hidden, whose weights need a column.
    """
    from attn_cli.grid import HIDDEN, SINK
    from attn_cli.show.terminal.table import pooled_columns  # rich: 0.06 s

    longest = max(reading.whole.queries, reading.whole.keys)
    beside = [SINK] if reading.extent.has_sinks else []
    return pooled_columns(world.screen.width, longest, digits, [*beside, *([HIDDEN] if hides else [])])


def shared_out(heads: int, cells: int = _CELLS) -> int:
    """The number of rows and columns per head in a file: about 1,024 × 1,024 for all heads together."""
    return max(_FEWEST_CELLS, int(cells / heads**0.5))


def check_pooled(targets: Mapping[Path, str]) -> None:
    """Check that every file type can record that its numbers are averages.

    Raises:
        UsageError: one cannot.
    """
    for suffix in targets.values():
        if suffix in STEPS.numbers_only:
            problem = f"{suffix} cannot record that the weights of a long text are averages over blocks"
            others = either(other for other in STEPS if other not in STEPS.numbers_only)
            raise UsageError(problem, f"--rows 0-19, or {others}")


def write(
    world: World,
    targets: Mapping[Path, str],
    kind: FileKind[Content],
    content: Callable[[], Content],
    *,
    force: bool,
) -> None:
    """Write the `targets` of this kind; `content` is called only if there are any."""
    from attn_cli.show import files

    of_kind = {path: suffix for path, suffix in targets.items() if suffix in kind}
    if of_kind:
        held = content()
        for path, suffix in of_kind.items():
            files.write(path, kind.encode(suffix, held), force=force)
            world.fact(f"wrote {path}")


def drawn(
    world: World,
    groups: "Sequence[Sequence[Sequence[Grid]]]",
    heading: "Heading",
    options: "PictureOptions",
    canvas: "Canvas",
) -> Picture:
    """A picture of the groups of panels, one below the other; each group shares one scale."""
    from attn_cli.show import picture  # imports matplotlib when it draws: 0.4 s

    dots = min(options.dpi, _FINEST)
    return as_picture(world, lambda: picture.page(groups, heading, canvas, dots), options)


def as_picture(world: World, draw: "Callable[[], Drawing]", options: "PictureOptions") -> Picture:
    """The drawing with its resolution; remarks name characters that the font, or any font, lacks.

    Raises:
        UsageError: the font is damaged.
    """
    from attn_cli.show.picture.font_file import refusing_damage  # already imported

    with refusing_damage(options.font):
        drawing = draw()
    if drawing.lacking:
        shown = " ".join(map(label, drawing.lacking[:_CHARACTERS]))
        rest = len(drawing.lacking) - _CHARACTERS
        more = f" and {rest:,} more" if rest > 0 else ""
        world.note(f"{drawing.families[0]} has no {shown}{more}: drawn in another font")
    if drawing.missing:
        world.note(f"no installed font has {' '.join(drawing.missing)}: spelled out in the picture")
    return Picture(drawing, options.dpi)


def counted(count: int, noun: str) -> str:
    """The number and the noun, with its plural."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"
