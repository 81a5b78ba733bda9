"""Errors: each has a sentence on what was found, a hint on what to try, and an exit status."""


class AttnError(Exception):
    """It cannot be done: model missing or damaged, text too long, device absent."""

    status = 1

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem, hint)  # both: an exception is pickled by its arguments
        self.problem = problem
        self.hint = hint

    def __str__(self) -> str:
        return self.problem


class UsageError(AttnError):
    """It was asked wrongly: layer or head out of range, bad selection."""

    status = 2


class DifferenceError(AttnError):
    """Our numbers are not those of the reference."""

    status = 3
