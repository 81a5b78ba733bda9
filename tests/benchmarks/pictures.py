"""Times pictures: one head of a long text beside `attn heads` of its layer, and a grid of 12 × 12 heads.

    python -m tests.benchmarks.pictures DIRECTORY_OF_SMOLLM2 [--pairs 5]

Whole processes for the head, alternating; the goal is a ratio of 1.3. The grid has 30 tokens per head, is
laid out and written in this process, and the goal is 3 s. On a busy machine CPU time (user and system) is the
one to look at. Also prints the size of each file.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from attn_cli.grid import Grid
from attn_cli.show.grids import grid_of
from attn_cli.show.picture import page, render
from attn_cli.show.picture.heading import Heading
from tests.benchmarks.start import cost

ALICE = Path(__file__).parents[2] / "sample_inputs" / "alice.txt"
CHARACTERS = 8139  # 1,941 tokens of SmolLM2
LAYER, HEAD = 17, 3
HEADS, TOKENS = 12, 30
RATIO, SECONDS = 1.3, 3.0


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    print_head(given.model.resolve(), given.pairs)
    print_grid()


def print_head(model: Path, pairs: int) -> None:
    """The time of `attn heatmap` of one head, of `attn heads` of its layer, and their ratio."""
    with tempfile.TemporaryDirectory() as directory:
        text = Path(directory) / "alice.txt"
        text.write_text(ALICE.read_text("utf-8")[:CHARACTERS], "utf-8")
        chosen = ["--file", str(text), "-m", str(model)]
        attn = [sys.executable, "-m", "attn_cli"]
        picture = ["--heads", f"{LAYER}.{HEAD}", "-o", str(text.with_suffix(".png")), "--force"]
        commands = [*attn, "heatmap", *chosen, *picture], [*attn, "heads", *chosen, "-l", str(LAYER)]
        measured = [tuple(map(cost, commands)) for _ in range(pairs + 1)][1:]
    for name in ("seconds", "cpu"):
        ours, theirs = ([getattr(one, name) for one in side] for side in zip(*measured, strict=True))
        ratio = median(our / their for our, their in zip(ours, theirs, strict=True))
        both = f"heatmap {median(ours):.2f} s, heads {median(theirs):.2f} s"
        print(f"one head, {name}: {both}, ratio {ratio:.2f}, goal ≤ {RATIO}")


def print_grid() -> None:
    """The time and the size of each kind of file."""
    for suffix in (".png", ".svg", ".pdf"):
        start = time.perf_counter(), time.process_time()
        content = render(page([grid_of_heads()], Heading("a grid")), suffix)
        wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        size = f"{len(content) / 1000:,.0f} kB"
        print(
            f"grid of {HEADS} × {HEADS}, {suffix}: {wall:.2f} s, CPU {cpu:.2f} s, {size}, goal ≤ {SECONDS} s"
        )


def grid_of_heads() -> list[list[Grid]]:
    """Random weights of every head."""
    draw, tokens = np.random.default_rng(0), [f"token{number}" for number in range(TOKENS)]

    def head(layer: int, number: int) -> Grid:
        weights = draw.dirichlet(np.full(TOKENS, 0.1), TOKENS)
        grid = grid_of("weights", weights, tokens, tokens, limits=(0, 1))
        return replace(grid, head=f"{layer}.{number}", step="weights", unit="weight")

    return [[head(layer, number) for number in range(HEADS)] for layer in range(HEADS)]


if __name__ == "__main__":
    main()
