"""A text that a decoder goes on with: one step for each token, with the keys and values of those before."""

from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Array, Floats, to_numpy
from attn_cli.core.multihead import Attention
from attn_cli.core.positions import Rotary
from attn_cli.errors import AttnError
from attn_cli.models.generation.rules import ruled
from attn_cli.models.generation.settings import GenerationSettings
from attn_cli.models.native.language_head.prediction import NativeHead
from attn_cli.models.native.spec import Spec
from attn_cli.models.native.transformer import Cache, Inputs, Memory
from attn_cli.models.source import Choice, NextToken, WatchedLayer
from attn_cli.vocabulary import Kind


class NativeContinuation:
    """The tokens so far, and what the model expects after them."""

    def __init__(
        self,
        head: NativeHead,
        inputs: Inputs,
        most: int,
        memory: Memory | None = None,
        watched: tuple[Kind, int] | None = None,
    ) -> None:
        """Read the text; `most` tokens may follow it. The attention of `watched` is kept as it runs."""
        self.ids, self._segments = list(inputs.ids), list(inputs.segments)
        self.attention: Attention | None = None  # of the layer that is watched, for the last token
        model = replace(head.model, kept={})
        self._model, self._head = model, replace(head, model=model)
        self._memory, self._watched = memory, watched
        lengths = (len(self.ids), len(self.ids) + most)
        self._may_turn = turns(model.spec, lengths[0]) != turns(model.spec, lengths[1])
        self._cache, self._turns = Cache(), self._turns_now()
        self._leaving = self._read(0)

    def logits(self) -> Floats:
        """(V,) the logits of the next token, in float32 or float64."""
        logits: Floats = to_numpy(self._head.logits(self._leaving))[0]
        return logits

    def append(self, index: int) -> None:
        """Read one more token."""
        self.ids.append(index)
        self._segments.append(self._segments[-1] if self._segments else 0)
        first = len(self.ids) - 1
        if self._may_turn and self._turns_now() != self._turns:
            self._turn_anew()
            first = 0
        self._leaving = self._read(first)

    def _read(self, first: int) -> Array:
        """(1, M) the output of the last layer at the last token, once those from `first` on are read."""
        inputs = Inputs(self.ids[first:], self._segments[first:], first=first, before=self.ids[:first])
        blocks = self._model.blocks(inputs, self._memory, cached=self._cache)
        for block in blocks:
            last = block
            if self._watched is not None and block.layer == self._watched[1]:
                is_cross = self._watched[0] is Kind.CROSS
                attention = block.cross_attention if is_cross else block.attention
                self.attention = attention.at([len(inputs.ids) - 1])
        return last.leaving[..., -1:, :]

    def _turn_anew(self) -> None:
        """Forget the keys: the text is now so long that all of its tokens are rotated in another way."""
        self._cache, self._turns = Cache(), self._turns_now()
        kept, spec = self._model.kept, self._model.spec
        assert kept is not None, "it keeps what it reads"
        for layer in range(spec.layers):
            kept["self", layer] = replace(kept["self", layer], rotary=spec.rotary(layer, len(self.ids)))

    def _turns_now(self) -> "list[tuple[object, ...]] | None":
        return turns(self._model.spec, len(self.ids)) if self._may_turn else None


def continued(
    text: NativeContinuation, settings: GenerationSettings, most: int, choose: Choice
) -> tuple[int, ...]:
    """The ids of at most `most` tokens, up to the first end token.

    Raises:
        AttnError: the model computes no numbers to choose by.
    """
    new: list[int] = []
    while len(new) < most:
        if new:
            text.append(new[-1])
        logits = text.logits()
        if np.isnan(logits).any():
            raise AttnError("the model's logits are not numbers", "--dtype float32, or other weights")
        watched = None if text.attention is None else WatchedLayer(text.attention)
        new.append(choose(NextToken(ruled(logits, settings, text.ids, len(new), most), watched)))
        if new[-1] in settings.ends:
            break
    return tuple(new)


def turns(spec: Spec, length: int) -> list[tuple[object, ...]]:
    """How each layer rotates the tokens of a text of this length: in some variants it depends on it."""
    return [_identity(spec.rotary(layer, length)) for layer in range(spec.layers)]


def _identity(rotary: Rotary | None) -> tuple[object, ...]:
    return () if rotary is None else (rotary.gain, *np.asarray(rotary.frequencies).tolist())
