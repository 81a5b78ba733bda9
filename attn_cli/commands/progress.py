"""The progress of long tasks: a bar on a terminal, otherwise an occasional line."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from attn_cli.console import World

if TYPE_CHECKING:
    from attn_cli.show.terminal.progress import Bar
    from attn_cli.training.loop import Progress
    from attn_cli.training.saved_state import RunPosition
    from attn_cli.vocabulary import Pattern

PATIENCE = 0.5  # seconds before a bar appears


@contextmanager
def reporter(world: World) -> "Iterator[Reporter]":
    """Reports the progress of a run: a bar on a terminal, otherwise an occasional line."""
    if world.desk is None:
        yield Reporter(world, None)
        return
    from attn_cli.show.terminal.progress import Bar  # rich: 0.06 s

    with Bar(world.desk) as bar:
        yield Reporter(world, bar)


@contextmanager
def download(world: World, model: str) -> Iterator[Callable[[str, int, int], None]]:
    """Reports the progress of a download: a bar on a terminal, and a line once it is done."""
    bar: Bar | None = None
    size = 0
    with ExitStack() as stack:

        def watch(file: str, done: int, total: int) -> None:
            nonlocal bar, size
            size = total
            if bar is None and world.desk is not None:
                from attn_cli.show.terminal.progress import Bar  # rich: 0.06 s

                bar = stack.enter_context(Bar(world.desk))
            if bar is not None:
                bar.show(done / max(1, total), f"{file} · {megabytes(done)} of {megabytes(total)}")

        yield watch
    if size:
        world.fact(f"downloaded {model}: {megabytes(size)}")


@contextmanager
def measuring(world: World) -> Iterator[Callable[[int, int], None]]:
    """Reports how many query rows are done: a bar, if it takes longer than a moment."""
    began = monotonic()
    bar: Bar | None = None
    with ExitStack() as stack:

        def watch(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and world.desk is not None and monotonic() - began >= PATIENCE:
                from attn_cli.show.terminal.progress import Bar  # rich: 0.06 s

                bar = stack.enter_context(Bar(world.desk))
            if bar is not None:
                bar.show(done / max(1, total), f"{done:,} of {total:,} query rows")

        yield watch


class Reporter:
    """Reports the progress of a training run."""

    def __init__(self, world: World, bar: "Bar | None") -> None:
        self._world, self._bar = world, bar
        self._first: RunPosition | None = None
        self._held_out: float | None = None

    def step(self, progress: "Progress") -> None:
        """A step is done."""
        if progress.held_out is not None:
            self._held_out = progress.held_out
        self._first = self._first or progress.mark
        words = " · ".join(self._words(progress))
        if self._bar is not None:
            self._bar.show(progress.share, words)
        elif progress.held_out is not None:
            self._world.fact(f"{progress.share:.0%} · {words}")

    def growth(
        self, mark: "RunPosition", nearest: "Mapping[Pattern, Sequence[tuple[int, int, float]]]"
    ) -> None:
        """How strongly the best heads show each pattern."""
        patterns = (
            " ".join([pattern, *(f"{layer}.{head} {score:.2f}" for layer, head, score in heads)])
            for pattern, heads in nearest.items()
        )
        self._line(" · ".join([f"step {mark.step:,}", *patterns]))

    def _line(self, text: str) -> None:
        """Print a line that stays on the screen."""
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
        if self._first is not None and mark.seconds > self._first.seconds:
            speed = (mark.tokens - self._first.tokens) / (mark.seconds - self._first.seconds)
            yield f"{speed:,.0f} tokens/s"
        if progress.share > 0:
            yield f"{clock(mark.seconds * (1 - progress.share) / progress.share)} left"


def clock(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def megabytes(size: int) -> str:
    """A count of bytes as `1,234.5 MB`."""
    return f"{size / 1e6:,.1f} MB"
