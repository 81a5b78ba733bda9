"""`attn tokens`: the tokens that the model reads."""

from typing import TYPE_CHECKING

from attn_cli.commands import options
from attn_cli.commands.inputs import open_model, read_text, source_request
from attn_cli.commands.texts import text_request
from attn_cli.console import World

if TYPE_CHECKING:
    from attn_cli.reading.reading import Reading

_COLUMNS = ("position", "id", "piece", "text", "start", "end", "special", "segment")
_RIGHT = (0, 1, 4, 5, 7)


EXAMPLES = """
The tokens of the bundled model:
    attn tokens "the cat's pyjamas"
The tokens of BERT, for a script:
    attn tokens "the cat's pyjamas" -m bert-base-cased --json
A message to a chat model, as the model's template writes it:
    attn tokens "Where is it?" --chat -m HuggingFaceTB/SmolLM2-135M-Instruct
"""


def list_tokens(
    world: World,
    *,
    text: options.TextOptions,
    source: options.SourceOptions,
    as_json: options.Json = False,
) -> None:
    """Show how a model splits a text into tokens.

    One line per token: its position (for --rows and --columns), its id and piece in the model's vocabulary,
    its text, and where the text starts and ends, in characters. A token without text of its own starts and
    ends at the same place.
    """
    texts = text_request(world, text)
    reading = read_text(world, open_model(world, source_request(source), weights=False), texts)
    if as_json:
        from attn_cli.reading.document import describe_reading  # NumPy: 0.1 s
        from attn_cli.show import data

        world.say(data.as_json(describe_reading(reading)))
    else:
        _show(world, reading)


def _show(world: World, reading: "Reading") -> None:
    """The tokens as a table, followed by those of the decoder's text."""
    from attn_cli.show.terminal.lists import TextTable  # rich: 0.06 s

    world.screen.print(TextTable(_COLUMNS, _rows(reading), right=_RIGHT))
    if reading.texts.target:
        world.say("\ndecoder tokens")
        world.screen.print(TextTable(_COLUMNS, _rows(reading, of_target=True), right=_RIGHT))


def _rows(reading: "Reading", *, of_target: bool = False) -> list[tuple[str, ...]]:
    """The tokens, or those of the decoder, as rows for `_COLUMNS`."""
    return [
        (
            *(str(token.position), str(token.id), token.piece, token.text),
            *(str(token.start), str(token.end), "yes" if token.special else "", str(token.segment)),
        )
        for token in (reading.texts.target if of_target else reading.tokens)
    ]
