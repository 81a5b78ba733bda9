"""The frequencies of RoPE as a model was loaded with: dynamic RoPE would remember the longest text."""

from copy import copy
from typing import Any, Self

import torch  # 1.7 s: imported only by modules that need it anyway

from attn_cli.record import record


@record(frozen=True, slots=True, eq=False)
class RopeTables:
    """The modules with tables of frequencies, each with its attributes and buffers."""

    modules: tuple[tuple[torch.nn.Module, dict[str, Any], dict[str, Any]], ...]

    @classmethod
    def of(cls, model: torch.nn.Module) -> Self:
        """The tables of the model, as they are now."""
        return cls(
            tuple(
                (module, copy(vars(module)), dict(module.named_buffers(recurse=False)))
                for module in model.modules()
                if any("inv_freq" in name for name, _ in module.named_buffers(recurse=False))
            )
        )

    def restore(self) -> None:
        """Put the tables back into the model."""
        for module, values, buffers in self.modules:
            vars(module).update(values, _buffers=copy(buffers))
