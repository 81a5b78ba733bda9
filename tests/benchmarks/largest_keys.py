"""The largest keys of long rows (`attn inspect --top 5`) compared with the pooled table of the same head.

    python -m tests.benchmarks.largest_keys [--tokens 2000,32000]

A causal random layer of 4 heads of 16 features, weights of one head, whole processes in a pipe: the pooled
table, twenty rows, and every row.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.growth import words
from tests.benchmarks.start import Cost, cost

ROWS = 20  # as many as a terminal lists


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", default="2000,32000")
    given = parser.parse_args()
    print("| tokens | pooled, s | MiB | 20 rows, s | MiB | all rows, s | MiB | the matrix, MiB |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        for length in map(int, given.tokens.split(",")):
            text = Path(name) / "text.txt"
            text.write_text(words(length + 1), encoding="utf-8")
            rows = ",".join(str(length * (number + 1) // ROWS - 1) for number in range(ROWS))
            costs = [measured(text, *more) for more in ((), ("--top", "5", "--rows", rows), ("--top", "5"))]
            numbers = " | ".join(f"{each.seconds:.1f} | {each.mebibytes:.0f}" for each in costs)
            print(f"| {length:,} | {numbers} | {length**2 * 4 / 2**20:,.0f} |", flush=True)


def measured(text: Path, *more: str) -> Cost:
    """Run `attn inspect` on the text."""
    head = ("-m", "random", "--causal", "--heads", "0.1", "-s", "weights")
    return cost([sys.executable, "-m", "attn_cli", "inspect", "--file", str(text), *head, *more])


if __name__ == "__main__":
    main()
