"""What a survey answers: its rows, its patterns with commands that show examples, and what was read."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from attn_cli.commands import options
from attn_cli.commands.again import asked_again
from attn_cli.record import record
from attn_cli.survey.inputs.files import STDIN, kind_of_file, state_of
from attn_cli.survey.records import Passage
from attn_cli.survey.results import StrongRow, SurveyResult, metric_rows, pattern_rows
from attn_cli.survey.running.run import Surveyed
from attn_cli.survey.totals import Example
from attn_cli.vocabulary import Kind, Metric

_LONGEST = 100_000  # bytes of a text in a command line; Linux allows 131,072 in a word


@record(frozen=True, slots=True)
class Again:
    """The commands that show a row again."""

    source: options.SourceOptions
    compute: options.ComputeOptions
    kind: Kind | None
    is_cut: bool  # whether documents are cut into windows

    def command(self, passage: Passage, place: tuple[int, int], row: int) -> str | None:
        """The command that shows a row of a head; None if the text cannot be typed."""
        which = [*("--heads", f"{place[0]}.{place[1]}"), *("--rows", str(row)), *("-s", "weights")]
        file = Path(passage.source)
        is_text = passage.source != STDIN and kind_of_file(file) == ".txt" and state_of(file) is not None
        if is_text and not self.is_cut and passage.place and not _has_mark(file):
            dashes = ["--"] if passage.source.startswith("-") else []
            line = shlex.join(["sed", "-n", f"{passage.place}p", *dashes, passage.source])
            return f"{line} | {self._inspect(options.TextOptions(), which)}"
        if is_text and not self.is_cut and not passage.place:
            return self._inspect(options.TextOptions(file=file), which)
        is_typed = "\0" not in passage.text and len(passage.text.encode()) <= _LONGEST
        is_typed = is_typed and passage.text != STDIN
        return self._inspect(options.TextOptions(text=passage.text), which) if is_typed else None

    def _inspect(self, text: options.TextOptions, which: Sequence[str]) -> str:
        inputs = options.ReadingOptions(
            text=text,
            generation=options.GenerationOptions(),
            source=self.source,
            chosen=options.HeadOptions(),
            kind=self.kind,
        )
        return shlex.join(["attn", "inspect", *which, *asked_again(inputs, self.compute)])


def result_of(
    surveyed: Surveyed,
    metrics: Sequence[Metric],
    again: Again,
    about: dict[str, Any],
) -> SurveyResult:
    """The rows of these metrics, and the patterns."""
    totals = surveyed.totals
    patterns = (
        replace(row, examples=tuple(_strong_rows(shown.examples, (row.layer, row.head), again)))
        for row, shown in pattern_rows(totals)
    )
    return SurveyResult(tuple(metric_rows(totals, metrics)), tuple(patterns), about)


def _strong_rows(examples: Sequence[Example], place: tuple[int, int], again: Again) -> Iterator[StrongRow]:
    for example in examples:
        passage = example.passage
        command = again.command(passage, place, example.row)
        yield StrongRow(passage.source, passage.place, passage.start, example.row, example.weight, command)


@cache
def _has_mark(file: Path) -> bool:
    """Whether it begins with the mark of UTF-16 or UTF-32, whose lines sed does not see."""
    from attn_cli.safe_text import text_encoding

    try:
        with file.open("rb") as content:
            return not text_encoding(content.read(4)).startswith("utf-8")
    except OSError:
        return True
