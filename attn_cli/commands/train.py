"""`attn train`: a small model of one's own, learned from text files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attn_cli.commands import options as given
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.vocabulary import DType

if TYPE_CHECKING:
    from attn_cli.show.terminal.progress import Bar
    from attn_cli.training.loop import Progress
    from attn_cli.training.run import Order, Outcome, Run
    from attn_cli.training.state import Mark

_MINUTES = 10.0  # where nobody says how long
_STORED = (DType.FLOAT32, DType.FLOAT16)
_COMPUTED = (DType.FLOAT32, DType.BFLOAT16)


def train(
    context: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="Text files in UTF-8.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="The model's directory.", show_default=False),
    ] = None,
    valid: Annotated[
        Path | None,
        typer.Option(
            "--valid",
            metavar="FILE",
            help="Held-out text; else the last twentieth of FILE.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[int, typer.Option("--layers", min=1, max=64, metavar="N", help="Layers.")] = 4,
    heads: Annotated[int, typer.Option("--heads", min=1, max=256, metavar="N", help="Heads a layer.")] = 8,
    width: Annotated[
        int, typer.Option("--width", min=1, max=8192, metavar="N", help="Features a token.")
    ] = 256,
    vocabulary: Annotated[
        int, typer.Option("--vocabulary", min=257, max=1 << 20, metavar="N", help="Pieces, at most.")
    ] = 8192,
    length: Annotated[
        int, typer.Option("--context", min=2, max=1 << 16, metavar="N", help="Tokens a row.")
    ] = 256,
    batch: Annotated[int, typer.Option("--batch", min=1, max=1 << 16, metavar="N", help="Rows a step.")] = 8,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, metavar="N", help="Steps.", show_default=False)
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", min=0.01, metavar="N", help="Minutes of training instead of steps: 10 unless said."
        ),
    ] = None,
    rate: Annotated[
        float, typer.Option("--rate", min=1e-8, max=1.0, metavar="X", help="The largest learning rate.")
    ] = 3e-3,
    repeats: Annotated[
        float,
        typer.Option(
            "--repeats",
            min=0.0,
            max=1.0,
            metavar="SHARE",
            help="In this share of the rows a passage stands twice: induction heads form early.",
        ),
    ] = 0.0,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=(1 << 32) - 1, metavar="N", help="Another seed, another run.")
    ] = 0,
    device: given.Device = "auto",
    dtype: Annotated[
        DType | None,
        typer.Option(
            "--dtype",
            help="Of products: float32 or bfloat16; unless said, bfloat16 where the device has it.",
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        DType, typer.Option("--store", help="Of the weights in the file: float32 or float16.")
    ] = DType.FLOAT32,
    watch: Annotated[
        bool, typer.Option("--watch", help="Print how previous-token and induction heads grow.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in DIR.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write into a directory that exists.")] = False,
    as_json: given.Json = False,
    quiet: given.Quiet = False,
) -> None:
    """Train a small model on text files, in Hugging Face layout: for attn -m DIR and transformers.

    A byte-level BPE tokenizer and a decoder in the GPT-2 layout. Ctrl-C keeps what was learned:
    --resume goes on. With --steps, on a CPU, a run that was interrupted ends with the same weights.
    """
    world: World = context.obj
    world.is_quiet = quiet
    if not files:
        raise UsageError("no text file was named", "attn train book.txt -o DIR")
    if out is None:
        raise UsageError("no directory was named for the model", "-o DIR")
    if resume and force:
        raise UsageError("--resume goes on with a run and --force begins anew", "leave one of them out")
    _check_format("--store", store, _STORED)
    if dtype is not None:
        _check_format("--dtype", dtype, _COMPUTED)
    from attn_cli.training import device as devices  # torch: 1.7 s
    from attn_cli.training import run as runs
    from attn_cli.training.recipe import Recipe

    place = devices.chosen(device)
    recipe = Recipe(
        layers=layers,
        heads=heads,
        width=width,
        vocabulary=vocabulary,
        context=length,
        steps=steps,
        minutes=minutes if steps is not None or minutes is not None else _MINUTES,
        batch=batch,
        rate=rate,
        repeats=repeats,
        seed=seed,
        bfloat16=devices.has_bfloat16(place) if dtype is None else dtype is DType.BFLOAT16,
    )
    order = runs.Order(tuple(files), valid, recipe, store)
    found = runs.resume(out, order, world.fact) if resume else runs.begin(out, order, world.fact, force=force)
    outcome = _trained(world, found, place, watch=watch)
    if as_json:
        from attn_cli.show import data

        world.say(data.as_json(outcome.as_json()))
    else:
        _show(world, order, outcome)


def _trained(world: World, run: "Run", device: str, *, watch: bool) -> "Outcome":
    """The run brought to its end, with a bar or with lines that tell how far it is."""
    from attn_cli.training import run as runs
    from attn_cli.training.measure import growth

    network = run.network(device)
    with _telling(world) as tell:

        def seen(progress: "Progress") -> None:
            tell.step(progress)
            if watch and progress.held_out is not None:
                tell.line(f"step {progress.mark.step:,} · {growth(network, run.held_out)}")

        mark = runs.advance(run, network, seen)
    world.fact(f"measuring {run.directory}")
    return runs.finish(run, network, mark)


@contextmanager
def _telling(world: World) -> "Iterator[_Teller]":
    """What tells how far a run is: a bar on a terminal, else a line now and then."""
    if world.desk is None:
        yield _Teller(world, None)
        return
    from attn_cli.show.terminal.progress import Bar  # rich: 0.06 s

    with Bar(world.desk) as bar:
        yield _Teller(world, bar)


class _Teller:
    """Says where a run is."""

    def __init__(self, world: World, bar: "Bar | None") -> None:
        self._world, self._bar = world, bar
        self._first: Mark | None = None
        self._held_out: float | None = None

    def step(self, progress: "Progress") -> None:
        """A step is done."""
        self._held_out = progress.held_out or self._held_out
        words = " · ".join(self._words(progress))
        if self._bar is not None:
            self._bar.show(progress.share, words)
        elif progress.held_out is not None:
            self._world.fact(f"{progress.share:.0%} · {words}")

    def line(self, text: str) -> None:
        """Something that stays to be read."""
        if self._bar is not None:
            self._bar.line(text)
        else:
            self._world.fact(text)

    def _words(self, progress: "Progress") -> Iterator[str]:
        mark = progress.mark
        yield f"step {mark.step:,}"
        yield f"loss {progress.loss:.3f}"
        if self._held_out is not None:
            yield f"held-out {self._held_out:.3f}"
        if self._first is None:
            self._first = mark
        elif mark.seconds > self._first.seconds:
            speed = (mark.step - self._first.step) * progress.tokens / (mark.seconds - self._first.seconds)
            yield f"{speed:,.0f} tokens/s"
        yield f"{_clock(mark.seconds * (1 - progress.share) / progress.share)} left"


def _clock(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _show(world: World, order: "Order", outcome: "Outcome") -> None:
    """What was learned, how well, and what the heads do."""
    from attn_cli.pipeline import known_for
    from attn_cli.show import terminal  # rich: 0.06 s

    recipe, surprise = order.recipe, outcome.surprise
    size = f"{recipe.layers} layers × {recipe.heads} heads of {recipe.width // recipe.heads} features"
    ran = f"{outcome.mark.step:,} steps, {outcome.tokens:,} tokens, {_clock(outcome.mark.seconds)}"
    terminal.paragraph(
        [str(outcome.directory), size, f"{outcome.parameters:,} parameters", ran], world.screen, between=" · "
    )
    world.say("")
    guesses = [
        ("this model", f"{surprise.model:.3f}"),
        ("bigrams of the same tokens", f"{surprise.bigram:.3f}"),
        ("gzip -9", f"{surprise.gzip:.3f}"),
    ]
    terminal.columns(("held-out text", "bits a character"), guesses, world.screen, right=(1,))
    if lines := known_for(outcome.known):
        world.say("")
        terminal.columns(("known for", "heads"), lines, world.screen)
    world.note(f'look at it: attn inspect "..." -m {outcome.directory}')


def _check_format(option: str, found: DType, allowed: Sequence[DType]) -> None:
    """Raise `UsageError` for a number format that a run cannot have."""
    if found not in allowed:
        names = " or ".join(allowed)
        raise UsageError(f"{option} {found} is not for training", f"{option} {names}")
