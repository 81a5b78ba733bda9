"""`attn` in a world of the test's own: what comes back is a status, standard output, standard error."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from attn_cli.cli import run
from attn_cli.console import World


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def world(stdin: str | TextIO = "", **environment: str) -> World:
    """80 columns, no colour, no hub, and nothing else but what is given."""
    source = io.StringIO(stdin) if isinstance(stdin, str) else stdin
    return World(source, io.StringIO(), io.StringIO(), {"COLUMNS": "80", "HF_HUB_OFFLINE": "1"} | environment)


def attn(*arguments: str | Path, stdin: str | TextIO = "", **environment: str) -> Answer:
    """One command, in this process."""
    found = world(stdin, **environment)
    status = run([str(argument) for argument in arguments], found)
    assert isinstance(found.stdout, io.StringIO)
    assert isinstance(found.stderr, io.StringIO)
    return Answer(status, found.stdout.getvalue(), found.stderr.getvalue())


def refused(answer: Answer) -> tuple[int, str, str]:
    """The status, the problem and the hint of an error; it has two lines and no result."""
    assert answer.out == ""
    problem, hint = answer.err.splitlines()
    assert problem.startswith("attn: ")
    assert hint.startswith("try: ")
    return answer.status, problem.removeprefix("attn: "), hint.removeprefix("try: ")
