"""The gradient of one step: parts of its rows, each computed by one thread, added up in one order.

How many threads there are changes no bit of the sum. PyTorch's own threads share out every single operation
and wait for one another at each, in a loop: beside other programs the one that has no core makes the others
burn theirs. Here threads meet once a step, and wait asleep, so a thread for each core costs nothing even
where the cores are shared (2 cores beside 3 busy loops, tokens/s: 1,650; one thread 1,270; PyTorch's 680).
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

_SCORES_AT_ONCE = 1 << 22  # of one layer: with four times as many 17 % slower (2 cores, 32 MB of cache)
_TOKENS_AT_ONCE = 1 << 11  # where rows are short, for the same reason
_PARTS = 8  # of a step, so that so many cores have something to do,
_LEAST_TOKENS = 1 << 9  # unless they would become so small that starting an operation takes as long as it

PartGradient: TypeAlias = tuple[float, Sequence[torch.Tensor]]
"""The loss of a part, as a share of the step's, and its gradient by tensor."""


class StepGradient:
    """Computes gradients with as many threads as there are free cores."""

    def __init__(self, network: Network, recipe: Recipe, threads: "Threads") -> None:
        self._network, self._recipe, self._threads = network, recipe, threads
        self._tensors = list(network.learning.values())

    def add(self, rows: torch.Tensor, first: int) -> float:
        """The mean loss of `rows` (B, T + 1) from position `first` on, in nats; its gradient is added."""
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
        return loss.item(), torch.autograd.grad(loss, self._tensors)


def rows_at_once(device: str, recipe: Recipe, rows: torch.Tensor) -> int:
    """How many of `rows` (B, T + 1) go through the network together; never a question of the cores."""
    count, length = rows.shape[0], rows.shape[1] - 1
    if device != "cpu":
        return count
    tokens = min(max(count * length // _PARTS, _LEAST_TOKENS), _TOKENS_AT_ONCE)
    return max(1, min(_SCORES_AT_ONCE // (recipe.heads * length**2), tokens // length))


def mixed_precision(network: Network, recipe: Recipe) -> torch.autocast:
    """Matrix products in bfloat16 where the recipe says so; threads share no copy of a weight."""
    is_half = recipe.products is DType.BFLOAT16
    device = network.device.partition(":")[0]
    return torch.autocast(device, torch.bfloat16, enabled=is_half, cache_enabled=False)


class Threads:
    """A pool of threads, each on a part of its own."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "attn", initializer=torch.set_num_threads, initargs=(1,))

    def each(
        self, work: Callable[[torch.Tensor], PartGradient], parts: Sequence[torch.Tensor]
    ) -> Iterator[PartGradient]:
        """What `work` returns of each part, in their order."""
        return map(work, parts) if min(self.count, len(parts)) == 1 else self._pool.map(work, parts)

    def close(self) -> None:
        """Let them end."""
        self._pool.shutdown()


@contextmanager
def threads_on(device: str) -> Iterator[Threads]:
    """A thread for each core that may be used; meanwhile PyTorch shares out no single operation."""
    before = torch.get_num_threads()
    threads = Threads(suited_threads(before) if device == "cpu" else 1)
    try:
        if device == "cpu":
            torch.set_num_threads(1)
        yield threads
    finally:
        threads.close()
        torch.set_num_threads(before)
