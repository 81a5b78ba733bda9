"""`attn tokens`: what the model reads, piece by piece."""

import typer

from attn_cli.commands import options as given
from attn_cli.commands.asking import Options, reading_of
from attn_cli.console import World

_COLUMNS = ("position", "id", "piece", "text", "start", "end", "special", "segment")
_RIGHT = (0, 1, 4, 5, 7)


def tokens(
    context: typer.Context,
    text: given.Text = None,
    file: given.File = None,
    pair: given.Pair = None,
    model: given.Model = "",
    as_json: given.Json = False,
    quiet: given.Quiet = False,
) -> None:
    """Show the tokens of a text: ids, pieces, text and offsets.

    Offsets count characters of the text as given; a token without text of its own has both where it
    stands.
    """
    world: World = context.obj
    world.is_quiet = quiet
    reading = reading_of(world, Options(text, file, pair, model))
    from attn_cli import pipeline
    from attn_cli.show import data, terminal

    if as_json:
        world.say(data.as_json(pipeline.document(reading)))
    else:
        terminal.columns(_COLUMNS, pipeline.token_rows(reading), world.screen, right=_RIGHT)
