"""Errors: each has a sentence on what is wrong, a hint on what to try, and an exit status."""

from pathlib import Path

from attn_cli.safe_text import condensed

_REPORT = "do not trust these numbers; please report it with the name of the model"


class AttnError(Exception):
    """The command cannot be run: a model is missing or damaged, a text too long, a device absent."""

    status = 1

    def __init__(self, problem: str, hint: str) -> None:
        problem, hint = condensed(problem), condensed(hint)
        super().__init__(problem, hint)  # both: an exception is pickled by its arguments
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return self.problem


class DamagedFileError(AttnError):
    """A file of a model is not what it should be; from the hub, it may be whole the next time."""

    def __init__(self, problem: str, hint: str, file: Path) -> None:
        super().__init__(problem, hint)
        self.args = (*self.args, file)
        self.file = file


class RefusedFileError(DamagedFileError):
    """A file of a model is not opened, since it would run code."""


class UsageError(AttnError):
    """The command is used wrongly: a layer or head is out of range, a selection malformed."""

    status = 2


class DifferenceError(AttnError):
    """The numbers differ from those of the reference."""

    status = 3

    def __init__(self, problem: str, hint: str = _REPORT) -> None:
        super().__init__(problem, hint)
