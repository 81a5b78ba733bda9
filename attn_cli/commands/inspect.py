"""`attn inspect`: tokens, then the steps of the chosen heads as tables, as JSON, or as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.inputs import check_steps, chosen_window, open_reading, selected_heads, selection
from attn_cli.commands.output import check_pooled, fitting, shared_out, show_reading, write
from attn_cli.commands.verdict import check, sentence, verdict_on
from attn_cli.console import World
from attn_cli.show.writers import STEPS, Results, either
from attn_cli.vocabulary import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attn_cli.grid import Head
    from attn_cli.reading.reading import Reading

_FILES = f"Write {either(STEPS)} instead of tables; may be repeated."


def inspect_heads(
    world: World,
    *,
    inputs: options.ReadingOptions,
    step: options.Steps = None,
    window: options.WindowOptions,
    table: options.TableOptions,
    out: Annotated[list[Path] | None, options.out(_FILES)] = None,
    force: options.Force = False,
    as_json: options.Json = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare with transformers; status 3 where it differs."),
    ] = False,
    json_schema: Annotated[bool, typer.Option("--json-schema", help="Print the schema of --json.")] = False,
    compute: options.ComputeOptions,
) -> None:
    """Show tokens, scores and softmax weights, head by head.

    Without a selection one telling head is shown. --layer alone is every head of it, --head alone
    that head of every layer. Without --step it is scores and weights, or logits where
    transformers tells no scores. Files and --json hold every
    number in full: --top and --digits are for tables.

    Of more than 1,024 tokens the weights are pooled into a picture; --rows and --columns show a part
    number by number.
    """
    from attn_cli.reading.document import describe_reading  # NumPy: 0.1 s
    from attn_cli.show import data, files

    if json_schema:
        world.say(data.schema())
        return
    targets = files.targets(out or (), tuple(STEPS), force=force)
    steps = tuple(dict.fromkeys(step)) if step else None
    reading = open_reading(world, inputs, compute)
    most = shared_out(1) if as_json or targets else fitting(world, reading, table.digits)
    shown = chosen_window(world, reading, window, steps, most)
    if shown.is_pooled:
        check_pooled(targets)
    heads = selected_heads(world, reading, selection(inputs.chosen), steps, shown)
    check_steps(world, reading, heads)
    verdict = verdict_on(reading, heads) if verify else None
    if as_json or targets:
        answer = describe_reading(reading) | {"attention": data.attention_entries(heads)}
        answer |= {} if verdict is None else {"verification": verdict.fields()}
        write(world, targets, STEPS, lambda: Results(answer, heads), force=force)
        if as_json:
            world.say(data.as_json(answer))
    else:
        _show(world, reading, heads, table)
    if verdict is not None:
        check(verdict)
        world.note(sentence(verdict))


def _show(world: World, reading: "Reading", heads: "Sequence[Head]", table: options.TableOptions) -> None:
    """The tokens, then every step of the heads as a table."""
    from attn_cli.show.grids import step_grids, summed_cells
    from attn_cli.show.terminal.matrices import Matrices  # rich: 0.06 s

    show_reading(world, reading)
    for grid in step_grids(reading.sides, heads):
        world.say("")
        whole = summed_cells(reading.sides, grid)
        theme = world.theme(table.theme)
        world.screen.print(Matrices(whole, digits=table.digits, top=table.top, theme=theme))
    if any(head.is_masked and Step.SCORES in head.steps for head in heads):
        world.note("scores are before the mask; after it: -s logits")
