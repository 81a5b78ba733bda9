"""Runs `attn` in a test world and returns its status, standard output and standard error."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from attn_cli.cli import run
from attn_cli.console import World


@dataclass(frozen=True)
class Answer:
    """The results of a command."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """It is a terminal."""
        return True


def world(stdin: str | TextIO = "", **environment: str) -> World:
    """A world with 80 columns, no colour, no hub, and only the given environment."""
    source = io.StringIO(stdin) if isinstance(stdin, str) else stdin
    return World(source, io.StringIO(), io.StringIO(), {"COLUMNS": "80", "HF_HUB_OFFLINE": "1"} | environment)


def attn(*arguments: str | Path, stdin: str | TextIO = "", **environment: str) -> Answer:
    """Run one command in this process, with its output in a pipe."""
    return _called(arguments, world(stdin, **environment))


def attn_in_terminal(*arguments: str | Path, **environment: str) -> Answer:
    """Run one command in this process, on a terminal without colours."""
    found = world(TERM="dumb", LINES="24", **environment)
    found.stdout = Terminal()
    return _called(arguments, found)


def _called(arguments: tuple[str | Path, ...], found: World) -> Answer:
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
