"""Times `attn explain` of one weight beside `attn inspect` of its head: whole processes, alternating.

    python tests/benchmarks/explain.py [MODEL_DIRECTORY ...] [--pairs 15]

Prints a table of medians: wall time and CPU time of both, and their ratio, taken pair by pair; the goal is
1.2. Without a directory only the bundled model is measured. On a busy machine CPU time (user and system) is
the one to look at.
"""

import argparse
import os
import platform
import sys
from pathlib import Path
from statistics import median

from tests.benchmarks.start import cost

TEXT = "The animal didn't cross the street because it was too tired."
QUERY = "8"
GOAL = 1.2


def main() -> None:
    """Measure every model and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--pairs", type=int, default=15)
    given = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {given.pairs} pairs, goal ≤ {GOAL}")
    print("| model | explain | inspect | ratio | CPU, explain | CPU, inspect | ratio |")
    print(f"|---|{'--:|' * 6}")
    for model in (None, *given.models):
        print(line(model, given.pairs), flush=True)


def line(model: Path | None, pairs: int) -> str:
    """One line of the table; the first pair warms the file cache and is not counted."""
    chosen = [TEXT, "-l", "2", "-H", "5", *([] if model is None else ["-m", str(model.resolve())])]
    attn = [sys.executable, "-m", "attn_cli"]
    commands = ([*attn, "explain", *chosen, "--query", QUERY], [*attn, "inspect", *chosen])
    measured = [tuple(map(cost, commands)) for _ in range(pairs + 1)][1:]
    ours, theirs = zip(*measured, strict=True)
    cells = [
        "storybook" if model is None else model.name,
        f"{median(one.seconds for one in ours):.3f} s",
        f"{median(one.seconds for one in theirs):.3f} s",
        f"**{median(our.seconds / their.seconds for our, their in measured):.3f}**",
        f"{median(one.cpu for one in ours):.3f} s",
        f"{median(one.cpu for one in theirs):.3f} s",
        f"**{median(our.cpu / their.cpu for our, their in measured):.3f}**",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
