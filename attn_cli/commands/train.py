"""`attn train`: trains a small model on your own text files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from attn_cli.commands import options
from attn_cli.commands.results.output import known_for, size
from attn_cli.commands.results.progress import clock, reporter
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.help.command import Topic
from attn_cli.record import record
from attn_cli.vocabulary import DType

if TYPE_CHECKING:
    from attn_cli.training.loop import Progress
    from attn_cli.training.recipe import Recipe, TrainingRequest
    from attn_cli.training.result import TrainingResult
    from attn_cli.training.run import Run

_STARTING = 2.0  # seconds on a busy machine: Python before this module, files and exit at the end
_MARGIN = 1.3  # the final evaluation may find the cores busier
_STORED = (DType.FLOAT32, DType.FLOAT16)
_COMPUTED = (DType.FLOAT32, DType.BFLOAT16)


@record(frozen=True, kw_only=True)
class TextFileOptions:
    """What to train on, and where to write the model."""

    topic = Topic.READ
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Text files in UTF-8.", show_default=False)
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="Directory to write the model to.",
            show_default=False,
            rich_help_panel=Topic.OUTPUT,
        ),
    ] = None
    held_out: Annotated[
        Path | None,
        typer.Option(
            "--held-out",
            metavar="FILE",
            help="Text to evaluate on, of which at most 500,000 tokens are used; by default the last "
            "twentieth of FILE...",
            show_default=False,
        ),
    ] = None


@record(frozen=True, kw_only=True)
class ShapeOptions:
    """The size of the model; the defaults, None here, depend on the duration of the run."""

    topic = Topic.SIZE
    layers: Annotated[
        int | None,
        typer.Option(
            "--layers", min=1, max=64, metavar="N", help="Number of layers.", show_default="4, brief: 2"
        ),
    ] = None
    head_count: Annotated[
        int | None,
        typer.Option(
            "--head-count",
            min=1,
            max=256,
            metavar="N",
            help="Number of heads per layer.",
            show_default="8, brief: 4",
        ),
    ] = None
    heads: Annotated[int | None, typer.Option("--heads", min=1, max=256, metavar="N", hidden=True)] = None
    width: Annotated[
        int | None,
        typer.Option(
            "--width",
            min=1,
            max=8192,
            metavar="N",
            help="Features per token.",
            show_default="256, brief: 64",
        ),
    ] = None
    vocabulary: Annotated[
        int | None,
        typer.Option(
            "--vocabulary",
            min=257,
            max=1 << 20,
            metavar="N",
            help="Maximum vocabulary size, at least 257.",
            show_default="8192, brief: 300",
        ),
    ] = None
    length: Annotated[
        int | None,
        typer.Option(
            "--context",
            min=8,
            max=1 << 16,
            metavar="N",
            help="Context length: the longest text that the model can read, in tokens.",
            show_default="256, brief: 64",
        ),
    ] = None


@record(frozen=True, kw_only=True)
class ScheduleOptions:
    """How long to train, and in what steps."""

    topic = Topic.TRAINING
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            min=0.01,
            metavar="X",
            help="Total time in minutes, including the final evaluation; up to 3 is a brief run.",
            show_default="10",
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, metavar="N", help="Steps to train for, instead of minutes.", show_default=False
        ),
    ] = None
    repeats: Annotated[
        float | None,
        typer.Option(
            "--repeats",
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="Share of rows in which a passage occurs twice, 0 to 1; makes induction heads form early.",
            show_default="0, brief: 0.75",
        ),
    ] = None
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            max=1 << 16,
            metavar="N",
            help="Rows per step, each of --context tokens.",
            show_default="8",
        ),
    ] = None
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            min=1e-8,
            max=1.0,
            metavar="X",
            help="Peak learning rate.",
            show_default="0.003, brief: 0.005",
        ),
    ] = None
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=(1 << 32) - 1, metavar="N", help="Seed of the run.")
    ] = 0


@record(frozen=True, kw_only=True)
class PrecisionOptions:
    """The device and the number formats."""

    topic = Topic.COMPUTE
    device: options.Device = "auto"
    dtype: Annotated[
        DType | None,
        typer.Option(
            "--dtype",
            metavar="DTYPE",
            help="Number format of matrix products: float32 or bfloat16; by default bfloat16 if the device "
            "is fast at it.",
            show_default=False,
        ),
    ] = None
    store: Annotated[
        DType,
        typer.Option(
            "--store", metavar="DTYPE", help="Number format of the saved weights: float32 or float16."
        ),
    ] = DType.FLOAT32


_Watch: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Show previous-token and induction heads as they form.",
        rich_help_panel=Topic.TRAINING,
    ),
]
_Resume: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue the run in DIR; give the same files and options again.",
        rich_help_panel=Topic.TRAINING,
    ),
]
_Force: TypeAlias = Annotated[
    bool, typer.Option("--force", help="Write to an existing directory.", rich_help_panel=Topic.OUTPUT)
]

EXAMPLES = """
Ten minutes on one book:
    attn train book.txt -o my-model --minutes 10
Inspect the result:
    attn inspect "the cat sat" -m my-model
Watch induction heads form:
    attn train book.txt -o tiny --minutes 1 --watch
"""


def train_model(
    world: World,
    *,
    texts: TextFileOptions,
    shape: ShapeOptions,
    schedule: ScheduleOptions,
    precision: PrecisionOptions,
    watch: _Watch = False,
    resume: _Resume = False,
    force: _Force = False,
    as_json: options.Json = False,
) -> None:
    """Train a small model of your own on text files.

    Trains a byte-level BPE tokenizer and a GPT-2 decoder, and writes them to a directory in Hugging Face
    layout that attn and transformers can load.

    Ctrl-C saves the state of the run, and --resume continues it with the same files and options. With
    --steps, on a CPU, an interrupted run ends with exactly the same weights.

    A run of at most 3 minutes is brief: it trains a small model, in which heads form within a minute. If the
    default of a brief run differs, it is listed beside the other.
    """
    began = monotonic()
    if not texts.files:
        raise UsageError("no text file was given", "attn train book.txt -o DIR")
    if texts.out is None:
        raise UsageError("no directory was given for the model", "-o DIR")
    if resume and force:
        raise UsageError("--resume continues a run and --force starts a new one", "leave one of them out")
    _check_format("--store", precision.store, _STORED)
    if precision.dtype is not None:
        _check_format("--dtype", precision.dtype, _COMPUTED)
    from attn_cli.training import device as devices  # torch: 1.7 s
    from attn_cli.training import run as runs
    from attn_cli.training.memory import check_fits
    from attn_cli.training.recipe import TrainingRequest

    device = devices.chosen(precision.device)
    shape = replace(shape, head_count=_head_count(world, shape))
    is_brief = runs.was_started_brief(texts.out) if resume else None
    recipe = _recipe(shape, schedule, precision.dtype or devices.products(device), is_brief=is_brief)
    check_fits(recipe, device)
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


def _head_count(world: World, shape: ShapeOptions) -> int | None:
    """The number of heads per layer: from --head-count, or from --heads as in older versions.

    Raises:
        UsageError: both were given.
    """
    if shape.heads is None:
        return shape.head_count
    if shape.head_count is not None:
        problem = (
            f"the number of heads was given twice: --heads {shape.heads} and --head-count {shape.head_count}"
        )
        raise UsageError(problem, f"--head-count {shape.head_count} alone")
    world.fact(f"--heads selects heads in other commands; heads per layer: --head-count {shape.heads}")
    return shape.heads


def _recipe(
    shape: ShapeOptions, schedule: ScheduleOptions, products: DType, *, is_brief: bool | None
) -> "Recipe":
    """Everything that determines a run; `is_brief`: None: its minutes say so."""
    from attn_cli.training.recipe import completed

    return completed(
        {
            "layers": shape.layers,
            "heads": shape.head_count,
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
        },
        is_brief=is_brief,
    )


def _brief_remark(recipe: "Recipe") -> str:
    """What a brief run trains, in one line."""
    shape = size(recipe.layers, recipe.heads, recipe.width // recipe.heads)
    return (
        f"brief run: {shape}, vocabulary of {recipe.vocabulary}, context of {recipe.context} tokens; "
        "a run of more than 3 minutes trains a larger model"
    )


def _trained(world: World, run: "Run", device: str, spent: float, *, watch: bool) -> "TrainingResult":
    """Train the run to its end and evaluate it; `spent` seconds of its minutes are already used."""
    from attn_cli.training import run as runs
    from attn_cli.training.measure import growth, seconds_needed
    from attn_cli.training.publishing import finish

    network = run.network(device)
    is_timed = run.order.recipe.minutes is not None
    reserved = spent + _MARGIN * seconds_needed(network, run.held_out, run.train) if is_timed else 0.0
    try:
        with reporter(world, run.characters_per_token) as report:

            def seen(progress: "Progress") -> None:
                if watch and report.is_time_for_heads(progress):
                    report.heads(growth(network, run.held_out))
                report.step(progress)

            mark = runs.advance(run, network, seen, reserved)
    except KeyboardInterrupt:
        world.fact(f"{run.directory} can be continued: --resume with the same files and options")
        raise
    if watch:
        report.summary()
    world.fact(f"evaluating {run.directory}")
    return finish(run, network, mark)


def _show(world: World, order: "TrainingRequest", outcome: "TrainingResult") -> None:
    """Print the size of the model, how well it predicts, and what its heads are known for."""
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
    world.note(f'to inspect it: attn inspect "..." -m {outcome.directory}')


def _check_format(option: str, found: DType, allowed: Sequence[DType]) -> None:
    """Raise `UsageError` for a number format that training does not support."""
    if found not in allowed:
        names = " or ".join(allowed)
        raise UsageError(f"{option} {found} is not supported in training", f"{option} {names}")
