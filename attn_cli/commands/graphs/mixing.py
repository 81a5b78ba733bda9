"""`attn effects --rollout --flow`: how much of each token reaches a position through all layers."""

from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.graphs.asked import AskedOptions
from attn_cli.commands.graphs.stack import read_stack
from attn_cli.commands.graphs.view import View
from attn_cli.commands.pictures.heading import heading_of
from attn_cli.commands.results.output import counted, drawn, show_reading, write
from attn_cli.commands.results.progress import measuring
from attn_cli.console import World
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.safe_text import label
from attn_cli.show.writers import PICTURES, Results

if TYPE_CHECKING:
    from attn_cli.answers.mixing import Mixing
    from attn_cli.reading.reading import Reading

_TOKENS = 3  # lines of tokens


@record(frozen=True, kw_only=True)
class MixingOptions:
    """How weights lead through all layers, in place of effects."""

    topic = Topic.SHOW
    rollout: Annotated[
        bool,
        typer.Option(
            "--rollout",
            help="Instead of effects: attention rollout, the share of each token in --position when the "
            "weights of all layers are multiplied.",
        ),
    ] = False
    flow: Annotated[
        bool,
        typer.Option(
            "--flow",
            help="Instead of effects: attention flow, how much can run to each token through all layers. "
            "Needs scipy.",
        ),
    ] = False

    @property
    def name(self) -> str:
        """The option that was typed."""
        return "--rollout" if self.rollout else "--flow"

    @property
    def is_empty(self) -> bool:
        """Whether neither is asked for."""
        return not (self.rollout or self.flow)


def show_mixing(
    world: World,
    inputs: options.ReadingOptions,
    compute: options.ComputeOptions,
    asked_for: MixingOptions,
    asked: AskedOptions,
    view: View,
) -> None:
    """Print the tokens that reach the position, or write files.

    Raises:
        AttnError: the model cannot be read, it has layers that are no attention, or SciPy is missing.
    """
    from attn_cli.reading.mixing.answer import MixingQuestion, check_measures, mixing
    from attn_cli.show.mixing.sentences import warnings

    question = MixingQuestion(asked.position, asked_for.rollout, asked_for.flow)
    check_measures(question)
    reading = read_stack(world, inputs, compute, may_be_encoder=True)
    with measuring(world, "tokens") as progress:
        answer = mixing(reading, question, progress)
    if view.as_json or view.files:
        _write(world, reading, answer, view)
    else:
        _show(world, reading, answer, asked)
    for warning in warnings(answer, lambda place: _named(reading, place)):
        world.note(warning)


def _show(world: World, reading: "Reading", answer: "Mixing", asked: AskedOptions) -> None:
    from attn_cli.show.mixing.sentences import tokens_table
    from attn_cli.show.terminal.lists import TextTable  # rich: 0.06 s

    show_reading(world, reading, most=_TOKENS)
    layers = counted(len(reading.extent.layers), "layer")
    world.say(f"\n{_what(answer, reading)} through {layers} to")
    names, rows = tokens_table(answer, lambda place: _named(reading, place), asked.top, asked.digits)
    world.screen.print(TextTable(names, rows, right=range(1, len(names))))
    total = len(reading.keys)
    if len(rows) < total:
        world.note(f"listed {len(rows):,} of {total:,} tokens; --top 0 lists all")


def _write(world: World, reading: "Reading", answer: "Mixing", view: View) -> None:
    from attn_cli.reading.document import describe_reading
    from attn_cli.show import data
    from attn_cli.show.mixing.entry import MIXINGS, mixing_entry, mixing_records
    from attn_cli.show.mixing.maps import mixing_maps

    described, texts = describe_reading(reading), [token.text for token in reading.keys]
    document, force = described | mixing_entry(answer), view.force
    grids = [[[grid]] for grid in mixing_maps(answer, [label(text) for text in texts])]
    places = [(layer, head) for layer in reading.extent.layers for head in range(reading.extent.heads)]
    name = heading_of(world, reading, view.pictures, places, _what(answer, reading))
    write(
        world,
        view.files,
        PICTURES,
        lambda: drawn(world, grids, name, view.pictures, view.canvas),
        force=force,
    )
    of_json = {path: suffix for path, suffix in view.files.items() if suffix == ".json"}
    others = {path: suffix for path, suffix in view.files.items() if suffix != ".json"}
    write(world, of_json, MIXINGS, lambda: Results(document), force=force)
    write(world, others, MIXINGS, lambda: Results(described | mixing_records(answer, texts)), force=force)
    if view.as_json:
        world.say(data.as_json(document))


def _what(answer: "Mixing", reading: "Reading") -> str:
    from attn_cli.show.mixing.sentences import measures

    return f"{' and '.join(measures(answer))} from {_named(reading, answer.position)}"


def _named(reading: "Reading", place: int) -> str:
    return f'"{label(reading.keys[place].text)}" ({place})'
