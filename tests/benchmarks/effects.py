"""Times the direct effects of all heads beside one forward pass, and zero ablation beside hooks in a loop.

    python tests/benchmarks/effects.py MODEL_DIRECTORY [--tokens 20] [--pairs 9] [--loops 1]

Both are measured in one process, alternating. The forward pass is ours, up to the logits of the last token;
goal 1.3. The loop is transformers' own: one forward pass for each head, with a hook that zeroes it before
W^O; goal 0.35. With `--loops 0` it does not run. On a busy machine CPU time is the one to look at, and with
OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1 it has no idle threads in it.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers

from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.open import open_source
from attn_cli.models.predictions import SwitchedHead
from attn_cli.models.source import SourceRequest, Texts

TEXT = (
    "The keys that the old man had left on the table were not there when he came back from the garden, and "
)


def main() -> None:
    """Measure and print a table of medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--loops", type=int, default=1)
    given = parser.parse_args()
    source = open_source(SourceRequest(model=str(given.model)))
    assert isinstance(source, Checkpoint), "a native model"
    texts = Texts(source.tokens(TEXT * (1 + given.tokens // 20), None)[: given.tokens])
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {source.name}, ",
        end="",
    )
    print(f"{len(texts.tokens)} tokens")
    print("| what | wall | CPU | beside | wall | CPU | ratio, wall | ratio, CPU |")
    print("|---|--:|--:|---|--:|--:|--:|--:|")
    last = len(texts.tokens) - 1
    line(
        "direct effects",
        lambda: direct(source, texts),
        "forward pass",
        lambda: forward(source, texts),
        given.pairs,
    )
    if not given.loops:
        return
    hooked = Loop(given.model, source, texts)
    line("zero ablation", lambda: ablated(source, texts, last), "loop with hooks", hooked.run, given.loops)


def line(name: str, ours: Callable[[], object], other: str, theirs: Callable[[], object], pairs: int) -> None:
    """One line; the first pair warms up and is not counted, unless there is only one."""
    measured = [(cost(ours), cost(theirs)) for _ in range(pairs + (pairs > 1))][int(pairs > 1) :]
    sides = [[median(pair[side][which] for pair in measured) for which in (0, 1)] for side in (0, 1)]
    ratios = [median(pair[0][which] / pair[1][which] for pair in measured) for which in (0, 1)]
    wall, cpu = sides[0]
    print(
        f"| {name} | {wall:.3f} s | {cpu:.3f} s | {other} | {sides[1][0]:.3f} s | {sides[1][1]:.3f} s ",
        end="",
    )
    print(f"| **{ratios[0]:.2f}** | **{ratios[1]:.2f}** |", flush=True)


def cost(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def forward(source: Checkpoint, texts: Texts) -> object:
    """One pass, with the logits of the last token."""
    return source.predictor(texts).logits([len(texts.tokens) - 1])


def direct(source: Checkpoint, texts: Texts) -> object:
    """The effects of all components and looks on the likeliest token."""
    attribution = source.effects(texts).attribution(len(texts.tokens) - 1)
    token = int(attribution.logits.argmax())
    return attribution.parts(token, None), list(attribution.looks(token, None))


def ablated(source: Checkpoint, texts: Texts, last: int) -> object:
    """The logits without each head."""
    effects = source.effects(texts)
    zeros = np.zeros(effects.head_size, np.float32)
    variants = [[SwitchedHead(*place, zeros)] for place in effects.places]
    return effects.ablated(variants, last, lambda _done, _total: None).logits(range(len(variants) + 1))


class Loop:
    """transformers' model, run once for each head."""

    def __init__(self, directory: Path, source: Checkpoint, texts: Texts) -> None:
        kind = transformers.AutoModelForCausalLM
        self._model: Any = kind.from_pretrained(directory, dtype=torch.float32)
        self._ids = torch.tensor([[token.id for token in texts.tokens]])
        self._places, self._size = source.effects(texts).places, source.spec.head_size
        modules = dict(self._model.named_modules())
        names = [source.spec.output.name.format(**source.spec.numbers(n)) for n in range(source.spec.layers)]
        self._outputs = [next(m for full, m in modules.items() if full.endswith(name)) for name in names]

    def run(self) -> None:
        """Every head in turn, and the logits of the last token."""
        for _, layer, head in self._places:
            columns = slice(head * self._size, (head + 1) * self._size)

            def hook(_module: object, given: tuple[torch.Tensor], at: slice = columns) -> tuple[torch.Tensor]:
                x = given[0].clone()
                x[..., at] = 0
                return (x,)

            handle = self._outputs[layer].register_forward_pre_hook(hook)
            with torch.no_grad():
                self._model(self._ids, logits_to_keep=1, use_cache=False)
            handle.remove()


if __name__ == "__main__":
    main()
