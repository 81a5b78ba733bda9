"""Runs `attn` in processes of its own and measures them: status, output, processor time, peak of memory.

A process that has imported the little that every command needs forks for each command, so that one costs
some 50 ms instead of 300. It has loaded neither torch nor transformers; what a command loads is its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).parents[2]
_FORKER = """
import json, os, resource, signal, sys, time
import numpy
from attn_cli import cli
from attn_cli.__main__ import main

def become(order):
    files = [(os.open(order["stdin"], os.O_RDONLY), 0)]
    files += [(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
              for number, name in ((1, "stdout"), (2, "stderr"))]
    for opened, number in files:
        os.dup2(opened, number)
    for number in order["closed"]:
        os.close(number)
    os.chdir(order["folder"])
    os.environ.update(order["environment"])
    resource.setrlimit(resource.RLIMIT_AS, (order["most"], order["most"]))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        is_closed = number in order["closed"]
        stream = None if is_closed else open(number, "w" if number else "r", encoding="utf-8")
        setattr(sys, name, stream)
    sys.argv[:] = ["attn", *order["arguments"]]
    main()

answers = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        try:
            become(order)
        finally:
            os._exit(99)
    end = time.monotonic() + order["patience"]
    while not (found := os.wait4(child, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)
    _, status, usage = found
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps([code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Line:
    """A command line, and what stands around it."""

    arguments: Sequence[str | Path]
    stdin: str | Path = "/dev/null"
    environment: Mapping[str, str] = field(default_factory=dict)
    stdout: str = ""  # a file in place of the pipe
    closed: Sequence[int] = ()


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    status: int
    out: bytes
    err: bytes
    seconds: float  # of a processor
    peak: int  # kB


class Processes:
    """Runs command lines, one after the other, each in a process that is forked for it."""

    MOST_MEMORY = 2**33  # of addresses: what would take more ends instead of this machine
    PATIENCE = 300.0  # seconds, until what hangs is ended

    def __init__(self, forker: "subprocess.Popen[str]", folder: Path) -> None:
        self._forker, self._folder = forker, folder

    def run(self, line: Line, folder: Path) -> Ended:
        """Run the line in the folder."""
        out, err = self._folder / "out", self._folder / "err"
        out.write_bytes(b"")
        order = {
            "arguments": [str(argument) for argument in line.arguments],
            "stdin": str(line.stdin),
            "stdout": line.stdout or str(out),
            "stderr": str(err),
            "closed": list(line.closed),
            "folder": str(folder),
            "environment": dict(line.environment),
            "most": self.MOST_MEMORY,
            "patience": self.PATIENCE,
        }
        status, seconds, peak = self._ask(order)
        return Ended(status, out.read_bytes(), err.read_bytes(), seconds, peak)

    def _ask(self, order: dict[str, Any]) -> tuple[int, float, int]:
        source, sink = self._forker.stdout, self._forker.stdin
        assert source is not None
        assert sink is not None
        _tell(sink, order)
        status, seconds, peak = json.loads(source.readline())
        return status, seconds, peak


def _tell(sink: IO[str], order: dict[str, Any]) -> None:
    print(json.dumps(order), file=sink, flush=True)


@contextmanager
def processes() -> Iterator[Processes]:
    """A process that forks for each command line."""
    left_out = {"PYTHONUNBUFFERED", "HF_TOKEN"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1", "COLUMNS": "80"}
    with tempfile.TemporaryDirectory() as folder:
        environment |= {"HF_HOME": f"{folder}/home", "XDG_CACHE_HOME": f"{folder}/cache"}
        line, pipe = [sys.executable, "-c", _FORKER], subprocess.PIPE
        with subprocess.Popen(
            line, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=folder
        ) as forker:  # it ends with its standard input
            yield Processes(forker, Path(folder))
