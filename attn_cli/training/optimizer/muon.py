"""Muon for the matrices inside the blocks, AdamW for everything else.

Jordan et al. 2024, kellerjordan.github.io/posts/muon. Heads form in a fraction of AdamW's steps, because a
matrix is updated in all directions at once, even those in which its gradient is still small.
"""

from collections.abc import Callable
from typing import Any, cast

import torch

_MOMENTUM = 0.95
_TURN = 4.0  # Muon's learning rate over AdamW's
_QUINTIC = (3.4445, -4.7750, 2.0315)  # fixed points near 1, and a steep slope at 0
_ITERATIONS = 5


class MuonAdamW(torch.optim.AdamW):
    """AdamW that uses Muon for groups with `pieces`, the number of matrices concatenated in each tensor."""

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; it clears the gradients of Muon's matrices."""
        with torch.no_grad():
            for group in self.param_groups:
                for tensor in group["params"] if group["pieces"] else ():
                    tensor.sub_(self._direction(tensor, group["pieces"]), alpha=_TURN * group["lr"])
                    tensor.grad = None  # AdamW skips it
        return cast("float | None", super().step(closure))

    def moments_of(self, tensor: torch.Tensor) -> tuple[str, ...]:
        """The names of the moments kept for a tensor between steps."""
        is_muons = any(
            tensor is one for group in self.param_groups if group["pieces"] for one in group["params"]
        )
        return ("exp_avg",) if is_muons else ("exp_avg", "exp_avg_sq")

    def _direction(self, tensor: torch.Tensor, pieces: int) -> torch.Tensor:
        """The Nesterov momentum of the gradient, with each piece orthogonalised."""
        assert tensor.grad is not None, "every matrix contributes to the loss"
        state: dict[str, Any] = self.state[tensor]
        if "exp_avg" not in state:
            state["exp_avg"] = torch.zeros_like(tensor)
        momentum = state["exp_avg"].lerp_(tensor.grad, 1 - _MOMENTUM)
        ahead = tensor.grad.lerp(momentum, _MOMENTUM)
        return torch.cat([orthogonal(piece) for piece in ahead.chunk(pieces, dim=1)], dim=1)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix (I, O) with the singular vectors of `matrix` and singular values near max(1, √(I/O)).

    Computed by five Newton-Schulz iterations.
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
