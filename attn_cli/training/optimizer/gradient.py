"""Computes the gradient of one step: one thread per part of its rows, summed in a fixed order.

The sum is bit-identical for any number of threads. PyTorch's own threads split every single operation and
spin while they wait for each other: if one of them gets no core because of other programs, the rest waste
theirs. Here the threads synchronise once per step and sleep while they wait, so one thread per core costs
nothing even on shared cores (2 cores beside 3 busy loops, tokens/s: 1,650; one thread 1,270; PyTorch's 680).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias

import torch

from attn_cli.models.cores import suited_threads
from attn_cli.training.network import Network
from attn_cli.training.recipe import Recipe
from attn_cli.vocabulary import DType

_SCORES_AT_ONCE = 1 << 22  # of one layer: four times as many are 17 % slower (2 cores, 32 MB of cache)
_TOKENS_AT_ONCE = 1 << 11  # if rows are short, for the same reason
_PARTS = 8  # of a step, so that up to 8 cores are used,
_LEAST_TOKENS = 1 << 9  # unless parts become so small that the overhead of operations dominates

PartGradient: TypeAlias = tuple[float, Sequence[torch.Tensor]]
"""The contribution of a part to the step's loss, and its gradient for each tensor."""


class StepGradient:
    """Computes gradients with as many threads as there are free cores."""

    def __init__(self, network: Network, recipe: Recipe, threads: "Threads") -> None:
        self._network, self._recipe, self._threads = network, recipe, threads
        self._tensors = list(network.learning.values())

    def add(self, rows: torch.Tensor, first: int) -> float:
        """The mean loss of `rows` (B, T + 1) from position `first` on, in nats; accumulates its gradient."""
        total = 0.0
        parts = torch.split(rows, rows_at_once(self._network.device, self._recipe, rows))
        for loss, gradient in self._threads.each(
            lambda part: self._part(part, first, rows[:, 1:].numel()), parts
        ):
            total += loss
            for tensor, change in zip(self._tensors, gradient, strict=True):
                tensor.grad = change if tensor.grad is None else tensor.grad.add_(change)
        return total

    def _part(self, rows: torch.Tensor, first: int, tokens: int) -> PartGradient:
        with mixed_precision(self._network, self._recipe):
            loss = self._network.losses(rows, first).sum() / tokens
        gradient = torch.autograd.grad(loss, self._tensors)
        return loss.item(), gradient  # only now: `item` waits for a GPU


def rows_at_once(device: str, recipe: Recipe, rows: torch.Tensor) -> int:
    """How many of `rows` (B, T + 1) are computed together; independent of the number of cores."""
    count, length = rows.shape[0], rows.shape[1] - 1
    if device != "cpu":
        return count
    tokens = min(max(count * length // _PARTS, _LEAST_TOKENS), _TOKENS_AT_ONCE)
    return max(1, min(_SCORES_AT_ONCE // (recipe.heads * length**2), tokens // length))


def mixed_precision(network: Network, recipe: Recipe) -> torch.autocast:
    """Matrix products in bfloat16 if the recipe says so; threads do not share converted weights."""
    is_half = recipe.products is DType.BFLOAT16
    device = network.device.partition(":")[0]
    return torch.autocast(device, torch.bfloat16, enabled=is_half, cache_enabled=False)


class Threads:
    """A pool of threads that each work on one part at a time."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "attn", initializer=torch.set_num_threads, initargs=(1,))

    def each(
        self, work: Callable[[torch.Tensor], PartGradient], parts: Sequence[torch.Tensor]
    ) -> Iterator[PartGradient]:
        """The results of `work` for each part, in order."""
        return map(work, parts) if min(self.count, len(parts)) == 1 else self._pool.map(work, parts)

    def close(self) -> None:
        """Shut the threads down."""
        self._pool.shutdown()


@contextmanager
def threads_on(device: str) -> Iterator[Threads]:
    """One thread for each available core; meanwhile PyTorch runs every operation on a single thread."""
    before = torch.get_num_threads()
    threads = Threads(suited_threads(before) if device == "cpu" else 1)
    try:
        if device == "cpu":
            torch.set_num_threads(1)
        yield threads
    finally:
        threads.close()
        torch.set_num_threads(before)
