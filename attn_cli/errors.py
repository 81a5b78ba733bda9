"""Errors: each has a sentence on what is wrong, a hint on what to try, and an exit status."""

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


class UsageError(AttnError):
    """The command is used wrongly: a layer or head is out of range, a selection malformed."""

    status = 2


class DifferenceError(AttnError):
    """The numbers differ from those of the reference."""

    status = 3

    def __init__(self, problem: str, hint: str = _REPORT) -> None:
        super().__init__(problem, hint)
