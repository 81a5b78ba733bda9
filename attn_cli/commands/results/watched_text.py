"""`--watch`: each token as the model writes it, with where one head looked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attn_cli.commands.inputs import (
    beginning,
    chosen_window,
    open_model,
    selected_heads,
    selected_places,
    selection,
    source_request,
    with_remarks,
)
from attn_cli.commands.options import (
    ComputeOptions,
    HidingOptions,
    ReadingOptions,
    TableOptions,
    WindowOptions,
)
from attn_cli.commands.results.continuation import go_on, requested_generation
from attn_cli.commands.results.output import headline
from attn_cli.commands.texts import text_request
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.safe_text import label
from attn_cli.vocabulary import Kind, Step

if TYPE_CHECKING:
    from attn_cli.models.source import NextToken
    from attn_cli.models.tokens.token import Token
    from attn_cli.reading.language_model.generation import Tell
    from attn_cli.reading.reading import Reading
    from attn_cli.reading.selection import Place

_MOST = 3  # keys beside each token
_WIDTH = 12  # columns of a token's text


def check_watch(inputs: ReadingOptions, others: dict[str, Any]) -> None:
    """Check the options that are given beside --watch.

    Raises:
        UsageError: --generate is missing, or an option shows something else.
    """
    if inputs.generation.generate is None:
        raise UsageError("--watch applies only with --generate", "--generate 20 --watch")
    option = next((name for name, value in others.items() if value), None)
    if option is not None:
        problem = f"--watch and {option} exclude each other: --watch prints the tokens as they are written"
        raise UsageError(problem, f"leave out {option}, or --watch")


def watch_text(world: World, inputs: ReadingOptions, compute: ComputeOptions, table: TableOptions) -> None:
    """Print each token as it is written, and the keys that the head gave the largest weights.

    Raises:
        AttnError: the model does not go on with the text.
        UsageError: several heads are chosen, or one that does not read what is written.
    """
    generation = requested_generation(inputs.generation, inputs.text, compute.seed)
    assert generation is not None, "checked by `check_watch`"
    texts = text_request(world, inputs.text, inputs.kind)
    source = open_model(world, source_request(inputs.source, compute, is_drawn=True))
    reading = beginning(world, source, texts, generation, is_watched=True)
    layer, head = _head(world, reading, inputs)
    from attn_cli.show.terminal.lists import Paragraph  # rich: 0.06 s

    world.screen.print(Paragraph(headline(reading), between=" · "))
    world.conclude(f"as each token is written: where head {layer}.{head} looks from the token before it")
    world.say("")
    tell = _teller(world, reading, head, table)
    whole = go_on(world, reading, generation, tell, (reading.kind, layer))
    with_remarks(world, whole)


def _head(world: World, reading: "Reading", inputs: ReadingOptions) -> "Place":
    """The head that is watched: the chosen one, or the one that stands out in the text so far.

    Raises:
        UsageError: several are chosen, or the kind of attention reads no new token.
    """
    if reading.kind is Kind.ENCODER:
        problem = "encoder attention reads the text, and not what is written"
        raise UsageError(f"--watch shows decoder or cross attention: {problem}", "--kind cross")
    chosen = selection(inputs)
    if chosen.is_empty:
        window = chosen_window(
            world, reading, WindowOptions(hiding=HidingOptions()), (Step.WEIGHTS,), len(reading.keys)
        )
        (head,) = selected_heads(world, reading, chosen, (Step.WEIGHTS,), window)
        return head.layer, head.head
    places = selected_places(world, reading, chosen)
    if len(places) > 1:
        layer, head_number = places[0]
        raise UsageError(
            f"--watch follows one head: {len(places)} were chosen", f"--heads {layer}.{head_number}"
        )
    return places[0]


def _teller(world: World, reading: "Reading", head: int, table: TableOptions) -> "Tell":
    """Prints a line for each token, at once."""
    from attn_cli.reading.language_model.generation import largest_keys

    most = table.top or _MOST

    def tell(after: "NextToken", tokens: "Sequence[Token]", _added: str) -> None:
        keys = reading.tokens if reading.kind is Kind.CROSS else tokens[:-1]
        new = tokens[-1]
        looked = [
            f"{key} {label(keys[key].name)} {weight:.{table.digits}f}"
            for key, weight in largest_keys(after, head, most)
        ]
        world.say(_line(world, f"{new.position:>5}", label(new.text), looked))
        world.stdout.flush()

    return tell


def _line(world: World, position: str, text: str, looked: "Sequence[str]") -> str:
    """A token and the keys; in a terminal those that do not fit stand below the first ones."""
    from rich.cells import cell_len

    from attn_cli.show.terminal.text_width import filled, to_left

    token = f"{position} {to_left(text, _WIDTH)} "
    if not world.stdout.isatty():
        return token + ", ".join(looked)
    indent = cell_len(token)
    return token + f"\n{' ' * indent}".join(filled(looked, ", ", max(world.width - indent, 1)))
