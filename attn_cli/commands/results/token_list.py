"""The list of tokens: of a text, and of a long one some thousands at a time."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attn_cli.console import World

if TYPE_CHECKING:
    from attn_cli.models.tokens.token import Token
    from attn_cli.reading.long_texts.listing import LongReading
    from attn_cli.reading.reading import Reading

_COLUMNS = ("position", "id", "piece", "text", "start", "end", "special", "segment")
_RIGHT = (0, 1, 4, 5, 7)

MOST_SHOWN = 10_000
"""Tokens of a long text that a terminal shows."""


def say_tokens(world: World, reading: "Reading") -> None:
    """The tokens as JSON."""
    from attn_cli.reading.document import describe_reading  # NumPy: 0.1 s
    from attn_cli.show import data

    world.say(data.as_json(describe_reading(reading)))


def show_tokens(world: World, reading: "Reading") -> None:
    """The tokens as a table, followed by those of the decoder's text."""
    _show_table(world, reading.tokens, has_written=bool(reading.written))
    if reading.texts.target:
        world.say("\ndecoder tokens")
        _show_table(world, reading.texts.target, has_written=bool(reading.written))


def say_long(world: World, reading: "LongReading") -> None:
    """The tokens of a long text as the same JSON."""
    from attn_cli.models.tokens.token_rows import written_rows
    from attn_cli.reading.document import describe_text  # NumPy: 0.1 s
    from attn_cli.show import data

    template = '{"position": %d, %s, "start": %d, "end": %d, %s}'
    rows = written_rows(reading.columns, template, _json_parts, data.BETWEEN_ROWS)
    for part in data.json_with_rows(describe_text(reading.source, reading.request), "tokens", rows):
        world.stdout.write(part)
    world.say("")


def show_long(world: World, reading: "LongReading") -> None:
    """The tokens of a long text as the same table; a terminal shows the first ones, and a remark says so."""
    if world.stdout.isatty():
        shown = reading.columns.first(MOST_SHOWN)
        _show_table(world, shown)
        if len(shown) < len(reading.columns):
            counts = f"the first {len(shown):,} of {len(reading.columns):,} tokens are shown"
            world.note(f"{counts}; all of them: a pipe, a file, or --json")
        return
    from attn_cli.models.tokens.token_rows import written_rows
    from attn_cli.show.terminal.long_table import Drawn, LongTable, endless_sheet  # rich: 0.06 s

    columns = reading.columns
    largest = {0: len(columns) - 1, 4: int(columns.starts.max()), 5: int(columns.ends.max())}
    sheet = endless_sheet(world.screen)
    table = LongTable(_COLUMNS, map(_cells, columns.kinds), largest, _RIGHT, sheet)
    world.screen.print(Drawn([table.heading()]))
    for rows in written_rows(columns, table.template, lambda token: table.parts(_cells(token)), "\n"):
        world.stdout.write(rows + "\n")


def _show_table(world: World, tokens: "Sequence[Token]", *, has_written: bool = False) -> None:
    """The tokens as a table; `has_written`: with a column that says which ones the model wrote."""
    from attn_cli.show.terminal.lists import TextTable  # rich: 0.06 s

    names = (*_COLUMNS, "generated") if has_written else _COLUMNS
    rows = [
        (*_cells(token), *(("yes" if token.generated else "",) if has_written else ())) for token in tokens
    ]
    world.screen.print(TextTable(names, rows, right=_RIGHT))


def _cells(token: "Token") -> tuple[str, ...]:
    """The token as a row for `_COLUMNS`."""
    return (
        *(str(token.position), str(token.id), token.piece, token.text),
        *(str(token.start), str(token.end), "yes" if token.special else "", str(token.segment)),
    )


def _json_parts(token: "Token") -> tuple[str, str]:
    """What the JSON object of a token says before and after its place in the text."""
    before = {"id": token.id, "piece": token.piece, "text": token.text}
    after = {"special": token.special, "segment": token.segment}
    return json.dumps(before)[1:-1], json.dumps(after)[1:-1]
