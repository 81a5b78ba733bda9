"""One query in all heads (`attn heads --rows -1 --on 0-40`) compared with the pass through the layers.

    python -m tests.benchmarks.one_token [DIRECTORY] [--tokens 2000] [--pairs 5]

Without DIRECTORY it is the bundled model, whose texts have at most 512 tokens. Both run in one process over
the same opened model, alternating; the baseline runs every layer up to the attention of the last one, and
measures nothing. CPU time is that of all cores: on a machine that others use, compare that.
"""

import argparse
import random
import time
from collections.abc import Callable
from statistics import median

from attn_cli.core.arrays import to_numpy
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.measurement.focus import choose_focus
from attn_cli.reading.metrics import measure_heads
from attn_cli.reading.reading import Reading, TextRequest, read
from attn_cli.reading.steps import run_layers

_WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "to", "see", "sun", "time", "man")


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time and CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def forward(reading: Reading) -> None:
    """Every layer, up to the queries and keys of the last one."""
    for _, layer in run_layers(reading, reading.extent.layers):
        opened = layer.opened
    assert opened is not None, "a native model"
    to_numpy(opened.operands.keys[..., -1:, :1])


def one_token(reading: Reading) -> None:
    """What `attn heads --rows -1 --on 0-40` measures."""
    places = [(layer, head) for layer in reading.extent.layers for head in range(reading.extent.heads)]
    focus = choose_focus(reading, "-1", "0-40")
    measure_heads(reading, places, lambda *_: None, names=False, focus=focus)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    draw = random.Random(0)  # noqa: S311  a text to measure with
    text = " ".join(draw.choice(_WORDS) for _ in range(given.tokens))
    opened = read(open_source(SourceRequest(given.model)), TextRequest(text))
    reading = opened.with_suited_backend(1 + max(opened.extent.layers))
    forward(reading)
    pairs = [
        (seconds(lambda: one_token(reading)), seconds(lambda: forward(reading))) for _ in range(given.pairs)
    ]
    print("| tokens | one token, s | the layers, s | ratio | CPU, s | CPU, s | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    cells = [f"{len(reading.tokens):,}"]
    for index in (0, 1):
        ours, theirs = (median(pair[side][index] for pair in pairs) for side in (0, 1))
        ratio = median(our[index] / their[index] for our, their in pairs)
        cells += [f"{ours:.2f}", f"{theirs:.2f}", f"**{ratio:.2f}**"]
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
