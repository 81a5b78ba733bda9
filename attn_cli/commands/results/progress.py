"""The progress of long tasks: a bar on a terminal, otherwise an occasional line."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias

from attn_cli.console import World

if TYPE_CHECKING:
    from attn_cli.show.terminal.progress import Bar
    from attn_cli.training.loop import Progress
    from attn_cli.training.saved_state import RunPosition
    from attn_cli.vocabulary import Pattern

PATIENCE = 0.5  # seconds before a bar appears
_LINE_EVERY = 5.0  # seconds, without a bar
_LOOK_EVERY = 2.0  # seconds between two measurements of the heads
BestHeads: TypeAlias = "Mapping[Pattern, Sequence[tuple[int, int, float]]]"
"""Layer, head and score of the heads that best match each pattern, the best first."""


@contextmanager
def reporter(world: World, characters_per_token: float) -> "Iterator[Reporter]":
    """Reports the progress of a training run: a bar on a terminal, otherwise a line every few seconds."""
    if world.desk is None:
        yield Reporter(world, None, characters_per_token)
        return
    from attn_cli.show.terminal.progress import Bar  # rich: 0.06 s

    with Bar(world.desk) as bar:
        yield Reporter(world, bar, characters_per_token)


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
                bar.show(done / max(1, total), [file, f"{megabytes(done)} of {megabytes(total)}"])

        yield watch
    if size:
        world.fact(f"downloaded {model}: {megabytes(size)}")


@contextmanager
def measuring(world: World, what: str = "query rows") -> Iterator[Callable[[int, int], None]]:
    """Reports how many of these are done: a bar on a terminal, if it takes longer than `PATIENCE`."""
    began = monotonic()
    bar: Bar | None = None
    with ExitStack() as stack:

        def watch(done: int, total: int) -> None:
            nonlocal bar
            if bar is None and world.desk is not None and monotonic() - began >= PATIENCE:
                from attn_cli.show.terminal.progress import Bar  # rich: 0.06 s

                bar = stack.enter_context(Bar(world.desk))
            if bar is not None:
                bar.show(done / max(1, total), [f"{done:,} of {total:,} {what}"])

        yield watch


class Reporter:
    """Reports the progress of a training run: time, speed, loss, and the heads that form."""

    def __init__(self, world: World, bar: "Bar | None", characters_per_token: float) -> None:
        self._world, self._bar = world, bar
        self._nats = math.log(2) * characters_per_token  # nats per token for each bit per character
        self._first: RunPosition | None = None
        self._held_out: float | None = None
        self._heads: list[BestHeads] = []  # the first and the latest measurement
        self._shown, self._looked = -math.inf, -math.inf  # times of the last line and the last measurement

    def step(self, progress: "Progress") -> None:
        """Show the progress after a step."""
        if progress.held_out is not None:
            self._held_out = progress.held_out
        self._first = self._first or progress.mark
        if self._bar is not None:
            self._bar.show(progress.share, list(self._phrases(progress)))
        elif progress.held_out is not None and self._is_due(progress, self._shown, _LINE_EVERY):
            self._shown = monotonic()
            self._world.fact(" · ".join([f"{progress.share:.0%}", *self._phrases(progress)]))

    def is_time_for_heads(self, progress: "Progress") -> bool:
        """Whether to measure the heads now: after an evaluation on held-out text, but not too often."""
        return progress.held_out is not None and self._is_due(progress, self._looked, _LOOK_EVERY)

    def heads(self, nearest: "BestHeads") -> None:
        """Record the heads that best match each pattern, to be shown from now on."""
        self._looked = monotonic()
        self._heads = [*self._heads[:1], nearest]

    def summary(self) -> None:
        """Report the scores of the best heads at the start and at the end, if any step was taken."""
        if not self._heads:
            return
        first, *_, last = [*self._heads, *self._heads]
        changes = [
            f"{pattern} {first[pattern][0][2]:.2f} → {score:.2f} (head {layer}.{head})"
            for pattern, ((layer, head, score), *_) in last.items()
        ]
        self._world.fact(f"best heads, start → end: {', '.join(changes)}")
        self._world.fact("score: the share of a head's weight on the tokens of the pattern, from 0 to 1")
        self._world.fact(
            "induction is scored here on short held-out passages that occur twice, below on random tokens"
        )

    def _phrases(self, progress: "Progress") -> Iterator[str]:
        mark = progress.mark
        if progress.share > 0:
            yield f"{clock(mark.seconds * (1 - progress.share) / progress.share)} left"
        yield f"step {mark.step:,}"
        if self._first is not None and mark.seconds > self._first.seconds:
            speed = (mark.tokens - self._first.tokens) / (mark.seconds - self._first.seconds)
            yield f"{speed:,.0f} tokens/s"
        yield f"loss {progress.loss / self._nats:.2f} bits per character"
        if self._held_out is not None:
            yield f"held-out text {self._held_out / self._nats:.2f}"
        for pattern, ((layer, head, score), *_) in self._heads[-1].items() if self._heads else ():
            yield f"{pattern} head {layer}.{head} {score:.2f}"

    @staticmethod
    def _is_due(progress: "Progress", last: float, pause: float) -> bool:
        """Whether `pause` seconds have passed, or the run begins or ends."""
        return progress.mark.step == 1 or progress.share >= 1 or monotonic() - last >= pause


def clock(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def megabytes(size: int) -> str:
    """A count of bytes as `1,234.5 MB`."""
    return f"{size / 1e6:,.1f} MB"
