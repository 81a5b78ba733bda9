"""`attn train`: trains a small model on your own text files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options
from attn_cli.commands.output import known_for, size
from attn_cli.commands.progress import clock, reporter
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.record import record
from attn_cli.vocabulary import DType

if TYPE_CHECKING:
    from attn_cli.training.loop import Progress
    from attn_cli.training.recipe import Recipe
    from attn_cli.training.request import TrainingRequest
    from attn_cli.training.result import TrainingResult
    from attn_cli.training.run import Run

_HEADS = 8  # of a layer, where nobody says how many
_MINUTES = 10.0  # where nobody says how long
_STORED = (DType.FLOAT32, DType.FLOAT16)
_COMPUTED = (DType.FLOAT32, DType.BFLOAT16)


@record(frozen=True, kw_only=True)
class TextFileOptions:
    """What is learned from, and where the model goes."""

    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Text files in UTF-8.", show_default=False)
    ] = None
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="The model's directory.", show_default=False),
    ] = None
    held_out: Annotated[
        Path | None,
        typer.Option(
            "--held-out",
            metavar="FILE",
            help="Held-out text, else the last twentieth of FILE...; of either at most 500,000 tokens count.",
            show_default=False,
        ),
    ] = None


@record(frozen=True, kw_only=True)
class ShapeOptions:
    """How large the model is."""

    layers: Annotated[int, typer.Option("--layers", min=1, max=64, metavar="N", help="Layers.")] = 4
    head_count: Annotated[
        int | None,
        typer.Option(
            "--head-count",
            min=1,
            max=256,
            metavar="N",
            help=f"Heads a layer, {_HEADS} unless said.",
            show_default=False,
        ),
    ] = None
    heads: Annotated[int | None, typer.Option("--heads", min=1, max=256, metavar="N", hidden=True)] = None
    width: Annotated[int, typer.Option("--width", min=1, max=8192, metavar="N", help="Features a token.")] = (
        256
    )
    vocabulary: Annotated[
        int, typer.Option("--vocabulary", min=257, max=1 << 20, metavar="N", help="Pieces, at most.")
    ] = 8192
    length: Annotated[
        int,
        typer.Option("--context", min=8, max=1 << 16, metavar="N", help="Tokens that the model can read."),
    ] = 256


@record(frozen=True, kw_only=True)
class ScheduleOptions:
    """How long it learns, and in which steps."""

    batch: Annotated[
        int, typer.Option("--batch", min=1, max=1 << 16, metavar="N", help="Rows of so many tokens a step.")
    ] = 8
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, metavar="N", help="Steps, instead of minutes.", show_default=False),
    ] = None
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            min=0.01,
            metavar="X",
            help="Minutes of training: 10 unless said.",
            show_default=False,
        ),
    ] = None
    rate: Annotated[
        float, typer.Option("--rate", min=1e-8, max=1.0, metavar="X", help="The largest learning rate.")
    ] = 3e-3
    repeats: Annotated[
        float,
        typer.Option(
            "--repeats",
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="In this share of the rows a passage stands twice: induction heads form early.",
        ),
    ] = 0.0
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=(1 << 32) - 1, metavar="N", help="Another seed, another run.")
    ] = 0


@record(frozen=True, kw_only=True)
class PrecisionOptions:
    """Where it computes, and in which number formats."""

    device: options.Device = "auto"
    dtype: Annotated[
        DType | None,
        typer.Option(
            "--dtype",
            metavar="[float32|bfloat16]",
            help="Of products; unless said, bfloat16 where the device is fast in it.",
            show_default=False,
        ),
    ] = None
    store: Annotated[
        DType, typer.Option("--store", metavar="[float32|float16]", help="Of the weights in the file.")
    ] = DType.FLOAT32


def train_model(
    world: World,
    *,
    texts: TextFileOptions,
    shape: ShapeOptions,
    schedule: ScheduleOptions,
    precision: PrecisionOptions,
    watch: Annotated[
        bool, typer.Option("--watch", help="Print how previous-token and induction heads grow.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in DIR: the same files and options again.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a directory that exists.")] = False,
    as_json: options.Json = False,
) -> None:
    """Train a small model of your own on text files.

    A byte-level BPE tokenizer and a decoder in the GPT-2 layout, as a directory in Hugging Face
    layout: for attn -m DIR and for transformers. Ctrl-C keeps what was learned:
    --resume goes on. With --steps, on a CPU, a run that was interrupted ends with the same weights.
    """
    if not texts.files:
        raise UsageError("no text file was named", "attn train book.txt -o DIR")
    if texts.out is None:
        raise UsageError("no directory was named for the model", "-o DIR")
    if resume and force:
        raise UsageError("--resume goes on with a run and --force begins anew", "leave one of them out")
    _check_format("--store", precision.store, _STORED)
    if precision.dtype is not None:
        _check_format("--dtype", precision.dtype, _COMPUTED)
    from attn_cli.training import device as devices  # torch: 1.7 s
    from attn_cli.training import run as runs
    from attn_cli.training.request import TrainingRequest

    device = devices.chosen(precision.device)
    shape = replace(shape, head_count=_head_count(world, shape))
    recipe = _recipe(shape, schedule, precision.dtype or devices.products(device))
    request = TrainingRequest(tuple(texts.files), texts.held_out, recipe, precision.store)
    if resume:
        run = runs.resume(texts.out, request, world.fact)
    else:
        run = runs.begin(texts.out, request, world.fact, force=force)
    result = _trained(world, run, device, watch=watch)
    if as_json:
        from attn_cli.show import data

        world.say(data.as_json(result.as_json()))
    else:
        _show(world, request, result)


def _head_count(world: World, shape: ShapeOptions) -> int | None:
    """How many heads a layer has: after --head-count, or as it once was after --heads.

    Raises:
        UsageError: both were given.
    """
    if shape.heads is None:
        return shape.head_count
    if shape.head_count is not None:
        problem = (
            f"two numbers of heads were given: --heads {shape.heads} and --head-count {shape.head_count}"
        )
        raise UsageError(problem, f"--head-count {shape.head_count} alone")
    world.fact(f"--heads selects heads elsewhere; how many a layer has: --head-count {shape.heads}")
    return shape.heads


def _recipe(shape: ShapeOptions, schedule: ScheduleOptions, products: DType) -> "Recipe":
    """What decides a run."""
    from attn_cli.training.recipe import Recipe

    is_timed = schedule.steps is None and schedule.minutes is None
    return Recipe(
        layers=shape.layers,
        heads=shape.head_count or _HEADS,
        width=shape.width,
        vocabulary=shape.vocabulary,
        context=shape.length,
        steps=schedule.steps,
        minutes=_MINUTES if is_timed else schedule.minutes,
        batch=schedule.batch,
        rate=schedule.rate,
        repeats=schedule.repeats,
        seed=schedule.seed,
        products=products,
    )


def _trained(world: World, run: "Run", device: str, *, watch: bool) -> "TrainingResult":
    """The run brought to its end, with a bar or with lines that tell how far it is."""
    from attn_cli.training import run as runs
    from attn_cli.training.measure import growth
    from attn_cli.training.publishing import finish

    network = run.network(device)
    with reporter(world) as report:

        def seen(progress: "Progress") -> None:
            report.step(progress)
            if watch and progress.held_out is not None:
                report.growth(progress.mark, growth(network, run.held_out))

        mark = runs.advance(run, network, seen)
    world.fact(f"measuring {run.directory}")
    return finish(run, network, mark)


def _show(world: World, order: "TrainingRequest", outcome: "TrainingResult") -> None:
    """What was learned, how well, and what the heads do."""
    from attn_cli.models.inventory import by_pattern
    from attn_cli.show.terminal.lists import Paragraph, TextTable  # rich: 0.06 s

    recipe = order.recipe
    shape = size(recipe.layers, recipe.heads, recipe.width // recipe.heads)
    ran = f"{outcome.mark.step:,} steps, {outcome.mark.tokens:,} tokens, {clock(outcome.mark.seconds)}"
    phrases = [str(outcome.directory), shape, f"{outcome.parameters:,} parameters", ran]
    world.screen.print(Paragraph(phrases, between=" · "))
    world.say("")
    guesses = [(who, f"{bits:.3f}") for who, bits in outcome.surprise.guesses]
    world.screen.print(TextTable(("held-out text", "bits a character"), guesses, right=(1,)))
    if lines := known_for(by_pattern(outcome.head_labels)):
        world.say("")
        world.screen.print(TextTable(("known for", "heads"), lines))
    world.note(f'look at it: attn inspect "..." -m {outcome.directory}')


def _check_format(option: str, found: DType, allowed: Sequence[DType]) -> None:
    """Raise `UsageError` for a number format that a run cannot have."""
    if found not in allowed:
        names = " or ".join(allowed)
        raise UsageError(f"{option} {found} is not for training", f"{option} {names}")
