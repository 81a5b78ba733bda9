"""`attn tokens`: what the model reads, piece by piece."""

from typing import TYPE_CHECKING

import typer

from attn_cli.commands import options as given
from attn_cli.commands.asking import Options, tokens_of
from attn_cli.console import World

if TYPE_CHECKING:
    from attn_cli.pipeline import Reading

_COLUMNS = ("position", "id", "piece", "text", "start", "end", "special", "segment")
_RIGHT = (0, 1, 4, 5, 7)


def tokens(
    context: typer.Context,
    text: given.Text = None,
    file: given.File = None,
    pair: given.Pair = None,
    target: given.Target = None,
    model: given.Model = "",
    revision: given.Revision = None,
    trust_remote_code: given.TrustCode = False,
    as_json: given.Json = False,
    quiet: given.Quiet = False,
) -> None:
    """Show the tokens of a text: ids, pieces, text and offsets.

    Offsets count characters of the text as given; a token without text of its own has both where it
    stands.
    """
    world: World = context.obj
    world.is_quiet = quiet
    asked = Options(
        text=text,
        file=file,
        pair=pair,
        target=target,
        model=model,
        revision=revision,
        trusts_code=trust_remote_code,
    )
    reading = tokens_of(world, asked)
    from attn_cli.pipeline import document  # NumPy: 0.1 s
    from attn_cli.show import data
    from attn_cli.show.terminal.lists import TextTable  # rich: 0.06 s

    if as_json:
        world.say(data.as_json(document(reading)))
    else:
        world.screen.print(TextTable(_COLUMNS, _rows(reading), right=_RIGHT))
        if reading.texts.target:
            world.say("\nthe decoder reads")
            world.screen.print(TextTable(_COLUMNS, _rows(reading, of_target=True), right=_RIGHT))


def _rows(reading: "Reading", *, of_target: bool = False) -> list[tuple[str, ...]]:
    """The tokens, or those of the decoder, as lines under `_COLUMNS`."""
    return [
        (
            *(str(token.position), str(token.id), token.piece, token.text),
            *(str(token.start), str(token.end), "yes" if token.special else "", str(token.segment)),
        )
        for token in (reading.texts.target if of_target else reading.tokens)
    ]
