"""`attn train`: trains a small model on your own text files."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
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
    from attn_cli.training.recipe import Recipe, TrainingRequest
    from attn_cli.training.result import TrainingResult
    from attn_cli.training.run import Run

_STARTING = 2.0  # seconds of a busy machine: Python before this module, files and exit at the end
_MARGIN = 1.3  # the final evaluation may find the cores busier
_STORED = (DType.FLOAT32, DType.FLOAT16)
_COMPUTED = (DType.FLOAT32, DType.BFLOAT16)


@record(frozen=True, kw_only=True)
class TextFileOptions:
    """The text to train on, and where the model goes."""

    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Text files in UTF-8.", show_default=False)
    ] = None
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Directory for the model.", show_default=False),
    ] = None
    held_out: Annotated[
        Path | None,
        typer.Option(
            "--held-out",
            metavar="FILE",
            help="Held-out text, at most 500,000 tokens of it; the default is the last twentieth of FILE....",
            show_default=False,
        ),
    ] = None


@record(frozen=True, kw_only=True)
class ShapeOptions:
    """How large the model is; None: by how long the run takes."""

    layers: Annotated[
        int | None,
        typer.Option("--layers", min=1, max=64, metavar="N", help="Layers. [4, brief: 2]"),
    ] = None
    heads: Annotated[
        int | None,
        typer.Option("--heads", min=1, max=256, metavar="N", help="Heads per layer. [8, brief: 4]"),
    ] = None
    width: Annotated[
        int | None,
        typer.Option("--width", min=1, max=8192, metavar="N", help="Features per token. [256, brief: 64]"),
    ] = None
    vocabulary: Annotated[
        int | None,
        typer.Option(
            "--vocabulary",
            min=257,
            max=1 << 20,
            metavar="N",
            help="Size of the vocabulary, at most. [8192, brief: 300]",
        ),
    ] = None
    length: Annotated[
        int | None,
        typer.Option(
            "--context",
            min=8,
            max=1 << 16,
            metavar="N",
            help="Context length in tokens. [256, brief: 64]",
        ),
    ] = None


@record(frozen=True, kw_only=True)
class ScheduleOptions:
    """How long the training takes, and what its steps are."""

    batch: Annotated[
        int | None,
        typer.Option("--batch", min=1, max=1 << 16, metavar="N", help="Full-length rows per step. [8]"),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, metavar="N", help="Number of steps, instead of --minutes."),
    ] = None
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            min=0.01,
            metavar="X",
            help="Minutes for everything, the final evaluation included; up to 3 is a brief run. [10]",
        ),
    ] = None
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", min=1e-8, max=1.0, metavar="X", help="Peak learning rate. [0.003, brief: 0.005]"
        ),
    ] = None
    repeats: Annotated[
        float | None,
        typer.Option(
            "--repeats",
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="Share of rows in which a passage occurs twice, from 0 to 1: induction heads form earlier. "
            "[0, brief: 0.75]",
        ),
    ] = None
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=(1 << 32) - 1, metavar="N", help="Random seed.")
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
            help="Format of matrix products; the default is bfloat16 where the device is fast in it.",
            show_default=False,
        ),
    ] = None
    store: Annotated[
        DType, typer.Option("--store", metavar="[float32|float16]", help="Format of the weights in the file.")
    ] = DType.FLOAT32


def train_model(
    world: World,
    *,
    texts: TextFileOptions,
    shape: ShapeOptions,
    schedule: ScheduleOptions,
    precision: PrecisionOptions,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show how previous-token and induction heads form.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in DIR: give the same files and options again.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Write into an existing directory, or start its run over."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Train a small model of your own on text files.

    Trains a byte-level BPE tokenizer and a GPT-2 model, and writes a directory in Hugging Face
    layout, for attn -m DIR and for transformers. Ctrl-C saves the state of the run, and --resume
    continues it. With --steps, on a CPU, a resumed run ends with the very same weights.

    A brief run, of at most 3 minutes, trains a small model in which heads form within the minute.
    The defaults of a brief run stand in brackets beside the others.
    """
    began = monotonic()
    if not texts.files:
        raise UsageError("no text file was given", "attn train book.txt -o DIR")
    if texts.out is None:
        raise UsageError("no directory was given for the model", "-o DIR")
    if resume and force:
        raise UsageError("--resume continues a run and --force starts it over", "leave one of them out")
    _check_format("--store", precision.store, _STORED)
    if precision.dtype is not None:
        _check_format("--dtype", precision.dtype, _COMPUTED)
    from attn_cli.training import device as devices  # torch: 1.7 s
    from attn_cli.training import run as runs
    from attn_cli.training.recipe import TrainingRequest

    device = devices.chosen(precision.device)
    recipe = _recipe(shape, schedule, precision.dtype or devices.products(device))
    request = TrainingRequest(tuple(texts.files), texts.held_out, recipe, precision.store)
    if resume:
        run = runs.resume(texts.out, request, world.fact)
    else:
        run = runs.begin(texts.out, request, world.fact, force=force)
    if recipe.is_brief:
        world.fact(_brief_remark(recipe))
    spent = 0.0 if resume else monotonic() - began + _STARTING
    result = _trained(world, run, device, spent, watch=watch)
    if as_json:
        from attn_cli.show import data

        world.say(data.as_json(result.as_json()))
    else:
        _show(world, request, result)


def _recipe(shape: ShapeOptions, schedule: ScheduleOptions, products: DType) -> "Recipe":
    """What decides a run."""
    from attn_cli.training.recipe import completed

    return completed(
        {
            "layers": shape.layers,
            "heads": shape.heads,
            "width": shape.width,
            "vocabulary": shape.vocabulary,
            "context": shape.length,
            "steps": schedule.steps,
            "minutes": schedule.minutes,
            "batch": schedule.batch,
            "rate": schedule.rate,
            "repeats": schedule.repeats,
            "seed": schedule.seed,
            "products": products,
        }
    )


def _brief_remark(recipe: "Recipe") -> str:
    """What a brief run trains, in one line."""
    shape = size(recipe.layers, recipe.heads, recipe.width // recipe.heads)
    return (
        f"brief run: {shape}, vocabulary of {recipe.vocabulary}, context of {recipe.context} tokens; "
        "more than 3 minutes train a larger model"
    )


def _trained(world: World, run: "Run", device: str, spent: float, *, watch: bool) -> "TrainingResult":
    """The run trained to its end and measured; `spent` seconds of its minutes are over already."""
    from attn_cli.training import run as runs
    from attn_cli.training.measure import growth, seconds_needed
    from attn_cli.training.publishing import finish

    network = run.network(device)
    is_timed = run.order.recipe.minutes is not None
    reserved = spent + _MARGIN * seconds_needed(network, run.held_out, run.train) if is_timed else 0.0
    with reporter(world, run.characters_per_token) as report:

        def seen(progress: "Progress") -> None:
            if watch and report.is_time_for_heads(progress):
                report.heads(growth(network, run.held_out))
            report.step(progress)

        mark = runs.advance(run, network, seen, reserved)
    if watch:
        report.summary()
    world.fact(f"evaluating {run.directory}")
    return finish(run, network, mark)


def _show(world: World, order: "TrainingRequest", outcome: "TrainingResult") -> None:
    """The size of the model, how well it predicts, and what its heads do."""
    from attn_cli.models.inventory import by_pattern
    from attn_cli.show.terminal.lists import Paragraph, TextTable  # rich: 0.06 s

    recipe = order.recipe
    shape = size(recipe.layers, recipe.heads, recipe.width // recipe.heads)
    ran = f"{outcome.mark.step:,} steps, {outcome.mark.tokens:,} tokens, {clock(outcome.mark.seconds)}"
    phrases = [str(outcome.directory), shape, f"{outcome.parameters:,} parameters", ran]
    world.screen.print(Paragraph(phrases, between=" · "))
    world.say("")
    guesses = [(who, f"{bits:.3f}") for who, bits in outcome.surprise.guesses]
    world.screen.print(TextTable(("held-out text", "bits per character"), guesses, right=(1,)))
    if lines := known_for(by_pattern(outcome.head_labels)):
        world.say("")
        world.screen.print(TextTable(("known for", "heads"), lines))
    world.note(f'look at it: attn inspect "..." -m {outcome.directory}')


def _check_format(option: str, found: DType, allowed: Sequence[DType]) -> None:
    """Raise `UsageError` for a number format that a run cannot have."""
    if found not in allowed:
        names = " or ".join(allowed)
        raise UsageError(f"{option} {found} cannot be used for training", f"{option} {names}")
