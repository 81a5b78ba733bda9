"""What a survey leaves beside its output while it runs, so that it can go on after an interruption.

The directory `OUTPUT.partial` has `survey.json` (what the survey is), a file for each batch that was
measured, and `totals.npz`, the sums over all batches before one. A batch's file is removed when the sums
include it, unless the numbers of every document are wanted.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError, UsageError
from attn_cli.record import record
from attn_cli.survey.records import BatchResult
from attn_cli.survey.running.storage import Stored, load, save, stored_as_batch

_MANIFEST, _TOTALS = "survey.json", "totals.npz"


@record(frozen=True, slots=True)
class Checkpoint:
    """The directory of a survey that is not complete."""

    directory: Path
    keeps_batches: bool

    @classmethod
    def begin(
        cls,
        directory: Path,
        manifest: Mapping[str, Any],
        *,
        resumes: bool,
        force: bool,
        keeps_batches: bool,
    ) -> "Checkpoint":
        """The directory, new or as an interrupted survey left it.

        Raises:
            UsageError: there is one, and it is not said whether to go on; or it is of another survey.
            AttnError: it is damaged, or cannot be made.
        """
        if directory.exists() and not resumes:
            if not force:
                problem = f"an interrupted survey is in {directory}"
                raise UsageError(problem, "--resume to go on with it, --force to start anew")
            shutil.rmtree(directory)
        if directory.exists():
            _check_same(_read_manifest(directory / _MANIFEST), manifest, directory)
        else:
            _make(directory, manifest)
        return cls(directory, keeps_batches)

    def batch(self, number: int) -> Path:
        """The file of a batch."""
        return self.directory / f"batch-{number:07}.npz"

    def read(self, number: int) -> BatchResult:
        """A batch that was measured."""
        return stored_as_batch(load(self.batch(number)))

    def totals(self) -> Stored | None:
        """The sums that were saved last; None: none were."""
        path = self.directory / _TOTALS
        return load(path) if path.exists() else None

    def save_totals(self, stored: Stored, first: int, after: int) -> None:
        """Save the sums over all batches before `after`; those from `first` on are new in them."""
        save(self.directory / _TOTALS, *stored)
        if not self.keeps_batches:
            for number in range(first, after):
                self.batch(number).unlink(missing_ok=True)

    def batches(self) -> Iterator[BatchResult]:
        """All batches in their order, if they are kept."""
        return (stored_as_batch(load(path)) for path in sorted(self.directory.glob("batch-*.npz")))

    def remove(self) -> None:
        """The survey is complete, and its output written."""
        shutil.rmtree(self.directory)


def _make(directory: Path, manifest: Mapping[str, Any]) -> None:
    try:
        directory.mkdir()
        (directory / _MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
    except OSError as error:
        problem = f"the survey keeps what it has found in {directory}: {error.strerror}"
        raise AttnError(problem, "another output, or free disk space") from error


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        problem = f"no survey that can go on: {path} is missing or damaged"
        raise AttnError(problem, "--force to start anew") from error
    return found if isinstance(found, dict) else {}


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], directory: Path) -> None:
    """Raise `UsageError` if something that determines the numbers is not what it was."""
    for name in (*now, *before):
        if before.get(name) != now.get(name):
            was, is_ = (_shown(each.get(name)) for each in (before, now))
            problem = f"{directory} is of another survey: {name} was {was} and is {is_}"
            raise UsageError(problem, "the options and files of before, or --force to start anew")


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004
