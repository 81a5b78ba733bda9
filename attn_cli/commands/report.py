"""`attn report`: one self-contained, interactive page with every weight of every head."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.again import asked_again
from attn_cli.commands.inputs import hidden_keys, note_selections, open_reading, selected_places
from attn_cli.commands.results.output import headline, kind_of
from attn_cli.commands.results.progress import measuring
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.safe_text import printable
from attn_cli.show.writers import PAGE_SUFFIX

if TYPE_CHECKING:
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Place

_BITS = (8, 12)
_LONGEST_TYPED = 2_000  # characters of a piped text that a command on the page repeats


@record(frozen=True, slots=True)
class PageOptions:
    """What is kept of the heads."""

    topic = Topic.SHOW
    heads: Annotated[
        list[str] | None,
        typer.Option(
            "--heads",
            metavar="L.H,L.H",
            help="Keep all steps of these heads too, in full precision: 0.1,3.4. The page begins with the "
            "first of them.",
            show_default=False,
        ),
    ] = None
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="TOKENS",
            help="Keep the whole rows of these queries too, at every key and in full precision, of all heads "
            "or of --heads. Of a long text, whose weights are pooled, nothing else tells them.",
            show_default=False,
        ),
    ] = None
    bits: Annotated[
        int,
        typer.Option(
            "--bits",
            metavar="8|12",
            help="Bits of each weight: 8 (largest error 0.002) or 12 (0.00013, and about three times as "
            "large). The page states its error.",
        ),
    ] = 8


EXAMPLES = """
Every head of the bundled model on one page:
    attn report "the cat sat and the cat sat" -o cat.html
With the start token hidden to begin with:
    attn report "the cat sat and the cat sat" --hide first -o shown.html
One head with all its steps, in full precision:
    attn report "the cat sat and the cat sat" --heads 2.6 -o head.html
"""


def write_page(
    world: World,
    *,
    text: options.TextOptions,
    generation: options.GenerationOptions,
    source: options.SourceOptions,
    kind: options.KindOption = None,
    page: PageOptions,
    hiding: options.HidingOptions,
    out: Annotated[list[Path] | None, options.out("The page to write: .html; may be repeated.")] = None,
    force: options.Force = False,
    compute: options.ComputeOptions,
) -> None:
    """Write one interactive page with every weight of every head.

    It is opened in a browser: a map of layers by heads, the matrix of a head, the text shaded
    by where a token looks or who looks at it, and each row with its numbers. The page is one file that needs
    neither a network nor a server. Press ? on it for its keys.

    Of an encoder-decoder model with a text for the decoder, the page has encoder, decoder and
    cross-attention; --kind selects one of them. If a text is long, the page has the largest weight of each
    block of tokens, and says so; --rows keeps whole rows of chosen queries. With --hide, the page begins with
    these keys hidden; its controls show and hide any of them.
    """
    if not out:
        raise UsageError("no file was given for the page", "-o page.html")
    if page.bits not in _BITS:
        raise UsageError(f"--bits {page.bits}: weights are kept with 8 or 12 bits", "--bits 8 or --bits 12")
    from attn_cli.models.cores import granted_cores
    from attn_cli.reading.report.report import report_of  # NumPy: 0.1 s
    from attn_cli.show import files
    from attn_cli.show.page.writing import page_of

    targets = files.targets(out, PAGE_SUFFIX, force=force)
    inputs = options.ReadingOptions(
        text=text, generation=generation, source=source, chosen=options.HeadOptions(), kind=kind
    )
    reading = open_reading(world, inputs, compute)
    exact = _exact(world, reading, page.heads)
    hidden = hidden_keys(reading, hiding)
    note_selections(world, reading, rows=page.rows, hide=hiding.hide)
    rows = _rows(reading, page.rows)
    with measuring(world, "layers") as progress:
        report = report_of(
            reading,
            is_chosen=kind is not None,
            exact=exact,
            rows=rows,
            hiding=hidden,
            bits=page.bits,
            environment=world.environment,
            headline=[
                phrase for phrase in headline(reading) if kind is not None or phrase != kind_of(reading)
            ],
            again=_again(reading, inputs, compute),
            progress=progress,
        )
        content = page_of(report, page.bits, granted_cores())
    for remark in report.remarks:
        world.note(remark)
    for path in targets:
        files.write(path, content, force=force)
        world.fact(f"wrote {path}: {len(content) / 1e6:.2f} MB")


def _again(reading: "Reading", inputs: options.ReadingOptions, compute: options.ComputeOptions) -> str:
    """The arguments that name the same model and text, quoted; empty if they hold control characters.

    A text from a pipe stands in them itself, unless it is long: then it comes from standard input again.
    """
    from shlex import join  # 2 ms, for this command alone

    text, request = inputs.text, reading.request
    typed = request.text if request.chat is None else request.chat.user
    is_piped = text.text in {None, "-"} and (text.file is None or str(text.file) == "-")
    is_short = len(typed) <= _LONGEST_TYPED and printable(typed) == typed
    if is_piped and is_short:
        inputs = replace(inputs, text=replace(text, text=typed, file=None))
    words = asked_again(inputs, compute)
    return join(words) if all(printable(word) == word for word in words) else ""


def _exact(world: World, reading: "Reading", named: Sequence[str] | None) -> "Sequence[Place]":
    """The heads whose steps are kept in full; none if none are named.

    Raises:
        UsageError: there is no such head.
    """
    from attn_cli.reading.selection import Selection

    return selected_places(world, reading, Selection(places=tuple(named))) if named else ()


def _rows(reading: "Reading", typed: str | None) -> Sequence[int]:
    """The queries whose whole rows are kept.

    Raises:
        UsageError: there are none.
    """
    if typed is None:
        return ()
    from attn_cli.reading.token_selection.select import select_tokens

    return select_tokens(typed, reading.query_side, "row", "--rows")
