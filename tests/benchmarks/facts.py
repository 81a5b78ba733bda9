"""The cost of head metrics compared with PyTorch's flash attention on the same queries, keys and values.

    python -m tests.benchmarks.facts [--tokens 2048,8192,32768] [--pairs 5] [--device cuda] [--dtype bfloat16]

12 heads of 64 features. `all`: every metric of `core.streaming.stream.summarise`, with the block
averages; `five`: entropy, distance, first and previous token, received weight. Ratios are taken pair by pair;
token ids follow Zipf's law, so that repetitions are as frequent as in a text.
"""

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from attn_cli.core.attention import Operands
from attn_cli.core.masks import causal, everywhere
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.stream import PICTURE, summarise
from attn_cli.vocabulary import Metric

HEADS, FEATURES, VOCABULARY = 12, 64, 50_000
FROM = 8192  # tokens: of the five metrics there is a goal from here on
FIVE = (Metric.ENTROPY, Metric.DISTANCE, Metric.FIRST, Metric.PREVIOUS, Metric.RECEIVED)
GOALS = {  # of all metrics: not causal, causal
    2048: (1.6, 1.8),
    8192: (1.25, 1.4),
    32768: (1.1, 1.2),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", default="2048,8192,32768")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)  # the tests keep to one
    print(f"{given.device}, {given.dtype}, {torch.get_num_threads()} threads, {given.pairs} pairs")
    print("| tokens | mask | flash, s | all metrics, s | ratio | goal | five metrics | goal |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|")
    for tokens in map(int, given.tokens.split(",")):
        for is_causal in (False, True):
            print(line(tokens, given.pairs, given.device, given.dtype, is_causal=is_causal), flush=True)


def line(tokens: int, pairs: int, device: str, dtype: str, *, is_causal: bool) -> str:
    """One line of the table; the first pair is a warm-up and is not counted."""
    torch.manual_seed(0)
    q, k, v = (
        torch.randn(HEADS, tokens, FEATURES, device=device, dtype=getattr(torch, dtype)) for _ in range(3)
    )
    operands = Operands(q, k, v, FEATURES**-0.5, causal if is_causal else everywhere)
    key_tokens = zipf(tokens)
    races: list[Callable[[], Any]] = [
        lambda: torch.nn.functional.scaled_dot_product_attention(
            q[None], k[None], v[None], is_causal=is_causal
        ),
        lambda: summarise(operands, tokens=key_tokens, picture=PICTURE),
        lambda: summarise(operands, FIVE),
    ]
    measured = [[seconds(race, device) for race in races] for _ in range(pairs + 1)][1:]
    goal = GOALS.get(tokens, ("", ""))[is_causal]
    cells = [
        f"{tokens:,}",
        "causal" if is_causal else "none",
        f"{median(flash for flash, *_ in measured):.3f}",
        f"{median(every for _, every, _ in measured):.3f}",
        f"**{median(every / flash for flash, every, _ in measured):.2f}**",
        f"≤ {goal}",
        f"**{median(five / flash for flash, _, five in measured):.2f}**",
        "≤ 1.1" if tokens >= FROM else "",
    ]
    return f"| {' | '.join(cells)} |"


def zipf(tokens: int) -> KeyTokens:
    """Token ids that follow Zipf's law; the first and the last token are special."""
    frequency = 1 / np.arange(1, VOCABULARY + 1)
    ids = np.random.default_rng(0).choice(VOCABULARY, tokens, p=frequency / frequency.sum())
    special = np.zeros(tokens, dtype=bool)
    special[[0, -1]] = True
    return KeyTokens(ids, special)


def seconds(run: Callable[[], Any], device: str) -> float:
    """The time until the device has finished."""
    begun = time.perf_counter()
    run()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
