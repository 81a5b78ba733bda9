"""Kills `attn` at random moments: no file is half-written, and a training goes on to the same weights.

`python -m tests.fuzz.kills 200` kills 200 processes, in turn by SIGKILL, SIGTERM, SIGINT and SIGHUP, over
each command, and prints what it found. `test_kills.py` runs a few.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attn_cli.models.hub.directories import UNFINISHED

RECORD = "run.json"  # of a training that has begun
TEXT = "Then Uncle Sam sang, and Uncle Sam sang well."
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WRITERS = {
    "inspect": ("inspect", TEXT, "-l", "all", "-H", "all", "-o", "out.json"),
    "heatmap": ("heatmap", TEXT, "-o", "out.svg"),
    "heads": ("heads", TEXT, "-o", "out.csv"),
    "report": ("report", TEXT, "-o", "out.html"),
    "survey": ("survey", "text.txt", "--per", "line", "-o", "out.csv"),
    "train": (
        *(
            "train",
            "text.txt",
            "-o",
            "model",
            "--steps",
            "12",
            "--layers",
            "1",
            "--head-count",
            "2",
            "--width",
            "32",
        ),
        *("--context", "32", "--vocabulary", "260", "--batch", "2"),
    ),
}
"""A command line for each kind of result."""

_OLD = b"old"


@dataclass(frozen=True)
class Kill:
    """What became of one process."""

    command: str
    signal: signal.Signals
    status: int
    problem: str  # empty if all is as it should be


def start(directory: Path, arguments: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    """A process of `attn` in the directory."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(directory / "cache")}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    line = [sys.executable, "-m", "attn_cli", *arguments]
    return subprocess.Popen(
        line, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def result_of(directory: Path) -> Path:
    """The file that the command writes."""
    return next(iter(directory.glob("out.*")), directory / "model" / "model.safetensors")


def reference(directory: Path, command: str) -> tuple[bytes, float]:
    """What a run that nobody disturbs writes, and its seconds."""
    directory.mkdir()
    (directory / "text.txt").write_text(f"{TEXT}\n" * 60)
    begun = time.monotonic()
    _, err = (process := start(directory, WRITERS[command])).communicate(timeout=300)
    if process.returncode:
        raise RuntimeError(err.decode())
    return result_of(directory).read_bytes(), time.monotonic() - begun


def kill(directory: Path, command: str, number: signal.Signals, moment: float) -> tuple[int, bytes]:
    """Run the command, send the signal after so many seconds; returns the status and standard error."""
    is_training = command == "train"
    process = start(directory, WRITERS[command] if is_training else (*WRITERS[command], "--force"))
    time.sleep(moment)
    process.send_signal(number)
    err = process.communicate(timeout=120)[1]
    return process.returncode, err


def judged(directory: Path, command: str, number: signal.Signals, moment: float, whole: bytes) -> Kill:
    """One kill: the file is the old one or the new one, and no temporary file stays except after SIGKILL."""
    target = directory / WRITERS[command][WRITERS[command].index("-o") + 1]
    if command != "train":
        target.write_bytes(_OLD)
    status, err = kill(directory, command, number, moment)
    problem = "" if status in {0, -number, 128 + number} else f"status {status}: {err.decode()[-300:]}"
    if number is signal.SIGINT and b"attn_cli" not in err and err.rstrip().endswith(b"KeyboardInterrupt"):
        problem = ""  # Python itself was not ready, and answers before attn begins
    if status == -signal.SIGABRT and command == "train" and b"<frozen runpy>" in err:
        problem = ""  # PyTorch ends a process whose signal comes within some of its own calls: once in 300
    if status == 128 + number and b"attn: interrupted" not in err:
        problem = f"says {err.decode()[-300:]}"
    if command == "train":
        problem = problem or resumed(directory, whole)
    elif target.read_bytes() not in {_OLD, whole} or (status == 0 and target.read_bytes() != whole):
        problem = "the file is neither the old one nor the new one"
    if left := [
        file for file in directory.rglob(".*") if file.name.startswith(".attn-") or file.suffix == ".part"
    ]:
        problem = problem or ("" if number is signal.SIGKILL else f"left {left[0].name}")
        for file in left:
            file.unlink()
    return Kill(command, number, status, problem)


def resumed(directory: Path, whole: bytes) -> str:
    """What is wrong with the model after the training went on; empty if it is equal to the bit."""
    if not (directory / "model" / "model.safetensors").exists():
        has_begun = (directory / "model" / UNFINISHED / RECORD).exists()
        again = ("--resume",) if has_begun else ("--force",)
        process = start(directory, (*WRITERS["train"], *again))
        err = process.communicate(timeout=300)[1]
        if process.returncode:
            return f"{again[0]}: {err.decode()[-300:]}"
    equal = result_of(directory).read_bytes() == whole
    shutil.rmtree(directory / "model")
    return "" if equal else "the resumed model has other weights"


def kills(count: int, seed: int, commands: tuple[str, ...] = tuple(WRITERS)) -> Iterator[Kill]:
    """As many kills, over the commands and signals in turn, each at a random moment."""
    moments = random.Random(seed)  # noqa: S311  no secret
    with tempfile.TemporaryDirectory() as place:
        made = {command: reference(Path(place) / command, command) for command in commands}
        shutil.rmtree(Path(place) / "train" / "model", ignore_errors=True)
        for turn in range(count):
            command = commands[turn % len(commands)]
            whole, seconds = made[command]
            number = SIGNALS[turn // len(commands) % len(SIGNALS)]
            yield judged(Path(place) / command, command, number, moments.uniform(0, 1.1 * seconds), whole)


def main() -> None:
    """Print how many processes ended in which way, and each problem."""
    count, seed = [*map(int, sys.argv[1:]), *(200, 23)[len(sys.argv) - 1 :]]
    tally: Counter[tuple[str, str, int]] = Counter()
    for done in kills(count, seed):
        tally[done.command, done.signal.name, done.status] += 1
        if done.problem:
            print(done, flush=True)
    for (command, name, status), times in sorted(tally.items()):
        print(f"{command:8} {name:8} status {status:4} {times:4}")
    print(f"{sum(tally.values())} kills")


if __name__ == "__main__":
    main()
