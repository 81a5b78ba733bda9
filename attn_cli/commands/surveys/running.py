"""Runs a survey for a command: where it keeps what it has found, its progress, and what ends it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from attn_cli.commands.results.progress import PATIENCE, clock
from attn_cli.console import World
from attn_cli.errors import AttnError, UsageError
from attn_cli.safe_text import printable
from attn_cli.survey.inputs.files import STDIN, state_of
from attn_cli.survey.records import Document, Unread
from attn_cli.survey.running.checkpoint import Checkpoint
from attn_cli.survey.running.run import Progress

if TYPE_CHECKING:
    from attn_cli.show.terminal.progress import Bar

_LINE_EVERY = 30.0  # seconds, without a bar


@contextmanager
def kept_beside(
    world: World,
    output: Path | None,
    manifest: Mapping[str, Any],
    *,
    resumes: bool,
    force: bool,
    keeps_batches: bool,
) -> Iterator[Checkpoint]:
    """Where the survey keeps what it has found: `OUTPUT.partial`, which goes when the block ends well.

    Without an output it is a directory that goes in any case.
    """
    if output is None:
        if resumes:
            raise UsageError(
                "--resume goes on from what is beside an output: none is named", "-o FILE.parquet"
            )
        with tempfile.TemporaryDirectory(prefix="attn-") as directory:
            at = Path(directory, "survey.partial")
            yield Checkpoint.begin(at, manifest, resumes=False, force=True, keeps_batches=keeps_batches)
        return
    at = output.with_name(f"{output.name}.partial")
    checkpoint = Checkpoint.begin(at, manifest, resumes=resumes, force=force, keeps_batches=keeps_batches)
    try:
        yield checkpoint
    except BaseException:
        if at.exists():  # something was measured, or may yet be
            world.fact(f"{at} has what was measured so far: --resume goes on with the same files and options")
        raise
    checkpoint.remove()


def check_resumable(files: Sequence[Path]) -> None:
    """Raise `UsageError` if it cannot be told whether the documents are the same."""
    for path in files:
        if state_of(path) is None:
            name = "standard input" if str(path) == STDIN else printable(str(path))
            problem = f"--resume cannot tell whether the documents are the same: {name} is a pipe"
            raise UsageError(problem, "save it to a file first")


def strictly(documents: Iterable[Document | Unread]) -> Iterator[Document | Unread]:
    """The documents; the first that cannot be read is an error."""
    for entry in documents:
        if isinstance(entry, Unread):
            raise unread_error(entry)
        yield entry


def raising(progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`progress`; the first document that cannot be measured is an error."""

    def watch(found: Progress) -> None:
        if found.unread:
            raise unread_error(found.unread[0])
        progress(found)

    return watch


def unread_error(entry: Unread) -> AttnError:
    """The error for a document that cannot be read or measured."""
    return AttnError(f"{place_of(entry)}: {entry.why}", "leave out --strict, which counts such documents")


def place_of(entry: Unread) -> str:
    """Where it is: `a.txt, line 7`, or of a table `row 7`."""
    name = "standard input" if entry.source == STDIN else printable(entry.source)
    if not entry.place:
        return name
    is_table = entry.source.lower().endswith((".csv", ".parquet"))
    return f"{name}, {'row' if is_table else 'line'} {entry.place:,}"


class Meter:
    """Counts what is read of the files, to tell how much is left."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._sizes = {str(path): size for path in files if (size := _size(path)) is not None}
        self._is_known = len(self._sizes) == len(files)
        self._read = dict.fromkeys(self._sizes, 0)
        self._before, self._last, self._count = 0, "", 0

    def counted(self, documents: Iterable[Document | Unread]) -> Iterator[Document | Unread]:
        """The documents, each counted when it is asked for."""
        for entry in documents:
            if entry.source != self._last:
                self._before += self._sizes.get(self._last, 0)
                self._last, self._read[entry.source] = entry.source, 0
            self._count += 1
            if isinstance(entry, Document):
                self._read[entry.source] += len(entry.text) + 1
            yield entry

    def share(self, documents: int) -> float | None:
        """The share of the files that so many documents are, about; None: the size of one is not known."""
        total = sum(self._sizes.values())
        if not self._is_known or not total:
            return None
        now = min(self._read.get(self._last, 0), self._sizes.get(self._last, 0))
        return min(1.0, (self._before + now) / total * documents / max(1, self._count))


def _size(path: Path) -> int | None:
    state = state_of(path)
    return None if state is None else state[1]


@contextmanager
def surveying(world: World, meter: Meter) -> Iterator[Callable[[Progress], None]]:
    """Reports documents, rate and time left: a bar on a terminal, otherwise a line every half minute."""
    began = monotonic()
    bar: Bar | None = None
    said = began
    with ExitStack() as stack:

        def watch(progress: Progress) -> None:
            nonlocal bar, said
            now = monotonic()
            share = meter.share(progress.documents)
            phrases = _phrases(progress, share, now - began)
            if world.desk is None:
                if now - said >= _LINE_EVERY:
                    said = now
                    world.fact(" · ".join(phrases))
            elif bar is not None or now - began >= PATIENCE:
                from attn_cli.show.terminal.progress import Bar  # rich: 0.06 s

                bar = bar or stack.enter_context(Bar(world.desk))
                bar.show(share or 0.0, phrases)

        yield watch


def _phrases(progress: Progress, share: float | None, seconds: float) -> list[str]:
    rate = progress.measured_now / max(seconds, 1e-3)
    phrases = [
        f"{progress.documents:,} documents",
        f"{progress.tokens:,} tokens",
        f"{rate:,.0f} tokens/s",
    ]
    if share and rate:
        phrases.append(f"about {clock(progress.tokens * (1 - share) / share / rate)} left")
    return phrases
