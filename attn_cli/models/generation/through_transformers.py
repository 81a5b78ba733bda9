"""A text that transformers' own `generate` goes on with, each token chosen as elsewhere."""

from collections.abc import Mapping
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway
import transformers

from attn_cli.core.arrays import to_numpy
from attn_cli.models.source import Choice, NextToken


def generated(model: Any, inputs: Mapping[str, Any], most: int, choose: Choice) -> tuple[int, ...]:
    """The ids of at most `most` tokens that follow those of `inputs`, the arguments of `forward`.

    The rules of the checkpoint are those of transformers, and so are its end tokens.
    """
    given = {name: value for name, value in inputs.items() if name != "use_cache"}
    result = model.generate(
        **given,
        max_new_tokens=most,
        do_sample=False,
        num_beams=1,
        logits_processor=transformers.LogitsProcessorList([_Choosing(choose)]),
    )
    before = given.get("decoder_input_ids", given["input_ids"]).shape[-1]
    ids: list[int] = result[0, before:].tolist()
    return tuple(ids)


class _Choosing(transformers.LogitsProcessor):  # type: ignore[misc]  # transformers is not typed
    """Leaves one token to choose from."""

    def __init__(self, choose: Choice) -> None:
        self._choose = choose

    def __call__(self, _ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """(1, V) the logits, of which all but that of the chosen token are -inf."""
        chosen = self._choose(NextToken(to_numpy(scores[0])))
        alone = torch.full_like(scores, -torch.inf)
        alone[:, chosen] = 0
        return alone
