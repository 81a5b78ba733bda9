"""The cost of the default threads on shared cores, compared with one thread and one per core.

    python -m tests.benchmarks.shared_cores [--loops 0,3] [--tokens 2048] [--steps 20] [--before CHECKOUT]

`attn train` of --steps steps on sample_inputs/alice.txt, and `attn heads` on a text of --tokens tokens,
each beside --loops busy loops: whole processes, alternating, wall and CPU time. CHECKOUT is another version
of attn.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.growth import make, words

ROOT = Path(__file__).parents[2]
ALICE = ROOT / "sample_inputs" / "alice.txt"


@dataclass(frozen=True)
class Case:
    """A version of attn and its choice of threads."""

    name: str
    checkout: Path
    threads: int | None  # of OMP_NUM_THREADS; None: attn chooses


def main() -> None:
    """Run every command in every case under every load, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loops", default="0,3")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--before", type=Path)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores; {psutil.cpu_percent(2):.0f} % busy before the first run")
    print("| busy loops | command | threads | wall, s | CPU, s | tokens/s of training |")
    print("|--:|---|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make(directory)
        (directory / "long.txt").write_text(words(given.tokens), encoding="utf-8")
        for loops in map(int, given.loops.split(",")):
            for case in cases(given.before):
                with busy(loops):
                    print(heads_line(loops, case, directory), flush=True)
                    print(train_line(loops, case, directory, given.steps), flush=True)


def cases(before: Path | None) -> Iterator[Case]:
    """The default of each version, then one thread and one per core for this version."""
    if before is not None:
        yield Case("before", before.resolve(), None)
    yield Case("default", ROOT, None)
    yield Case("1", ROOT, 1)
    yield Case("one a core", ROOT, os.cpu_count())


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """This many busy processes."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def heads_line(loops: int, case: Case, directory: Path) -> str:
    """The command line of `attn heads`."""
    text, model = str(directory / "long.txt"), str(directory)
    wall, cpu, _ = timed(case, ["heads", "--file", text, "-m", model, "--json"], directory)
    return f"| {loops} | heads | {case.name} | {wall:.1f} | {cpu:.1f} | |"


def train_line(loops: int, case: Case, directory: Path, steps: int) -> str:
    """The command line of `attn train`, and its tokens per second during the steps."""
    target = str(directory / "trained")
    command = ["train", str(ALICE), "-o", target, "--steps", str(steps), "--json", "--force"]
    wall, cpu, printed = timed(case, command, directory)
    result = json.loads(printed)
    speed = result["tokens"] / result["seconds"]
    return f"| {loops} | train | {case.name} | {wall:.1f} | {cpu:.1f} | {speed:,.0f} |"


def timed(case: Case, arguments: Sequence[str], directory: Path) -> tuple[float, float, str]:
    """Wall time, CPU time and output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    environment["PYTHONPATH"] = str(case.checkout)
    if case.threads is not None:
        environment["OMP_NUM_THREADS"] = str(case.threads)
    before, began = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "attn_cli", *arguments]
    done = subprocess.run(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, done.stdout.decode()


if __name__ == "__main__":
    main()
