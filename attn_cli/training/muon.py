"""Muon for the matrices inside the blocks, AdamW for everything else.

Jordan et al. 2024, kellerjordan.github.io/posts/muon. Heads form in a fraction of AdamW's steps: a matrix
turns in all directions at once, those included in which its gradient is still small.
"""

from collections.abc import Callable
from typing import Any, cast

import torch

_MOMENTUM = 0.95
_TURN = 4.0  # Muon's learning rate over AdamW's
_QUINTIC = (3.4445, -4.7750, 2.0315)  # its fixed points lie around 1, and it leaves 0 quickly
_ITERATIONS = 5


class MuonAdamW(torch.optim.AdamW):
    """AdamW whose groups with `pieces` take steps of Muon: so many matrices stand side by side in each."""

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; the gradients of Muon's matrices are used up by it."""
        with torch.no_grad():
            for group in self.param_groups:
                for tensor in group["params"] if group["pieces"] else ():
                    tensor.sub_(self._direction(tensor, group["pieces"]), alpha=_TURN * group["lr"])
                    tensor.grad = None  # AdamW passes it over
        return cast("float | None", super().step(closure))

    def moments_of(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """The names of what is kept of a tensor between steps."""
        is_muons = any(
            tensor is one for group in self.param_groups if group["pieces"] for one in group["params"]
        )
        return ("exp_avg",) if is_muons else ("exp_avg", "exp_avg_sq")

    def _direction(self, tensor: torch.Tensor, pieces: int) -> torch.Tensor:
        """Nesterov's momentum of the gradient, each piece made orthogonal."""
        assert tensor.grad is not None, "every matrix takes part in the loss"
        state: dict[str, Any] = self.state[tensor]
        if "exp_avg" not in state:
            state["exp_avg"] = torch.zeros_like(tensor)
        momentum = state["exp_avg"].lerp_(tensor.grad, 1 - _MOMENTUM)
        ahead = tensor.grad.lerp(momentum, _MOMENTUM)
        return torch.cat([orthogonal(piece) for piece in ahead.chunk(pieces, dim=1)], dim=1)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix (I, O) with the singular vectors of `matrix` and singular values near 1, or near √(I/O).

    By five steps of a Newton-Schulz iteration; the larger values belong to matrices with more rows than
    columns.
    """
    rows, columns = matrix.shape
    found = matrix.T if rows > columns else matrix
    found = found / (found.norm() + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        square = found @ found.T
        found = a * found + (b * square + c * square @ square) @ found
    turned: torch.Tensor = found.T if rows > columns else found
    return turned * float(max(1.0, rows / columns) ** 0.5)
