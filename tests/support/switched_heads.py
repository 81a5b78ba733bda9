"""transformers' own model with heads switched off by hooks, beside ours."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
import transformers

from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.predictions import SwitchedHead
from attn_cli.models.source import Texts
from attn_cli.vocabulary import Kind

Numbers = npt.NDArray[np.floating]


def unseen(_done: int, _total: int) -> None:
    """Takes the progress of a run, and shows it to nobody."""


def zeroed(source: Checkpoint, texts: Texts) -> list[list[SwitchedHead]]:
    """Every head alone, with zeros for its contexts."""
    effects = source.effects(texts)
    return [[SwitchedHead(*place, np.zeros(effects.head_size, np.float32))] for place in effects.places]


@contextmanager
def _weights_of(run: Callable[[], object]) -> Iterator[None]:
    """Lets every softmax return what it returned, one after another, in a run that is done first.

    Eager attention calls `torch.nn.functional.softmax` once in each layer, and nothing else does.
    """
    softmax, found = torch.nn.functional.softmax, list[torch.Tensor]()

    def keep(*given: Any, **how: Any) -> torch.Tensor:
        found.append(softmax(*given, **how))
        return found[-1]

    with patch.object(torch.nn.functional, "softmax", keep):
        run()
    again = iter(found)
    with patch.object(torch.nn.functional, "softmax", lambda *_, **__: next(again)):
        yield
    assert next(again, None) is None, "the second run had as many layers"


class Hooked:
    """transformers' model over the same files, whose contexts are changed before they meet W^O."""

    def __init__(self, name: str, source: Checkpoint) -> None:
        kind = getattr(transformers, name)
        dtype = torch.float64 if "64" in source.backend.dtype else torch.float32
        loaded = kind.from_pretrained(source.path, attn_implementation="eager", dtype=dtype)
        self._model, self._source = loaded.eval(), source
        self._spec = source.spec.decoder or source.spec

    def logits(
        self,
        texts: Texts,
        position: int,
        edits: Sequence[SwitchedHead] = (),
        *,
        keeps_patterns: bool = False,
    ) -> Numbers:
        """(V,) with these heads replaced; on request all attention keeps the weights of the clean run."""
        with ExitStack() as hooks:
            if keeps_patterns:
                hooks.enter_context(_weights_of(lambda: self._run(texts)))
            for edit in edits:
                hook = self._module(edit.kind, edit.layer).register_forward_pre_hook(self._edit(edit))
                hooks.callback(hook.remove)
            logits: Numbers = self._run(texts)[position]
        return logits

    def contexts(self, texts: Texts, kind: Kind, layer: int) -> Numbers:
        """(H, T, D) what meets W^O in one layer."""
        found: list[Numbers] = []

        def keep(_module: torch.nn.Module, given: tuple[torch.Tensor]) -> None:
            found.append(given[0][0].double().numpy())

        hook = self._module(kind, layer).register_forward_pre_hook(keep)
        self._run(texts)
        hook.remove()
        rows = found[0]
        return rows.reshape(len(rows), -1, self._spec.head_size).swapaxes(0, 1)

    def _run(self, texts: Texts) -> Numbers:
        """(T, V) the logits."""
        given: dict[str, Any] = {"input_ids": torch.tensor([[token.id for token in texts.tokens]])}
        if texts.target:
            given["decoder_input_ids"] = torch.tensor([[token.id for token in texts.target]])
        with torch.no_grad():
            logits: Numbers = self._model(**given).logits[0].double().numpy()
        return logits

    def _module(self, kind: Kind, layer: int) -> torch.nn.Module:
        spec = self._spec
        part = spec.output if kind is not Kind.CROSS or spec.cross is None else spec.cross.output
        wanted = part.name.format(**spec.numbers(layer))
        modules: dict[str, torch.nn.Module] = dict(self._model.named_modules())
        return next(module for name, module in modules.items() if name.endswith(wanted))

    def _edit(self, edit: SwitchedHead) -> Any:
        size = self._spec.head_size

        def hook(_module: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            x = given[0].clone()
            new = torch.as_tensor(np.asarray(edit.contexts), dtype=x.dtype)
            columns = slice(edit.head * size, (edit.head + 1) * size)
            for row in range(x.shape[1]) if edit.rows is None else edit.rows:
                x[0, row, columns] = new if new.ndim == 1 else new[row]
            return (x,)

        return hook
