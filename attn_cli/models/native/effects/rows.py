"""What heads add to the logit of one token after each of several rows, layer by layer as the layers run.

The formula is that of an attribution at one position. A row is read in a direction that is known before any
layer runs, but for what the final norm divides it by: so a layer's contexts are read when it has run, and not
kept. R rows, N heads in all, H heads of a layer, D features per head, M features of the model.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from attn_cli.core.arrays import Array, Exact, exact, taken
from attn_cli.core.decomposition import divisor_of, undivided
from attn_cli.core.multihead import Attention
from attn_cli.mapped_files import check_unchanged
from attn_cli.models.native.effects.ablation import kept_in
from attn_cli.models.native.effects.directions import Directions
from attn_cli.models.native.effects.written import added, read_of_result, read_through
from attn_cli.models.native.language_head.prediction import NativeHead
from attn_cli.models.native.transformer import Changes, Inputs, Memory
from attn_cli.vocabulary import Kind


class NativeRowsRun:
    """The layers of a text, which run once, and what their heads add to one token after each of R rows."""

    def __init__(
        self,
        language_head: NativeHead,
        inputs: Inputs,
        kind: Kind,
        memory: Memory | None,
        rows: Sequence[int],
        tokens: Sequence[int],
    ) -> None:
        self._head, self._inputs, self._kind, self._memory = language_head, inputs, kind, memory
        self._rows, self._tokens = list(rows), tokens
        self._of_layers = list[Exact]()
        self._divisors: Exact | None = None

    def layers(self) -> Iterator[Attention]:
        """The self-attention of each layer, in ascending order, as the layers run.

        Raises:
            AttnError: the weights are damaged, or change meanwhile.
        """
        model = self._head.model
        norm = model.norm(model.spec.final_norm, 0, model.spec.width)
        in_stream = undivided(Directions(self._head).less_mean(self._tokens), norm)
        x, files = model.embedded(self._inputs), self._head.known.weights.files
        opened = model.opened(self._inputs, x, self._memory)
        for layer in range(model.spec.layers):
            found: dict[Kind, Array] = {}
            changes = Changes(kept_in(found, self._kind), kept_in(found, Kind.CROSS))
            block = opened.block(layer, x, changes=changes)
            check_unchanged(files)
            yield block.attention
            x = block.leaving
            attentions = {self._kind: block.attention}
            if Kind.CROSS in found:
                attentions[Kind.CROSS] = block.cross_attention
            for kind, attention in attentions.items():
                self._of_layers.append(self._of_layer(kind, layer, attention, found[kind], in_stream))
        self._divisors = divisor_of(norm, exact(taken(x, self._rows, -2)))

    def effects(self) -> Exact:
        """(R, N) what each head adds to the logit less the vocabulary's mean, once all layers have run."""
        assert self._divisors is not None, "the layers have run"
        return np.concatenate(self._of_layers, axis=-1) / self._divisors

    def _of_layer(
        self, kind: Kind, layer: int, attention: Attention, contexts: Array, in_stream: Exact
    ) -> Exact:
        """(R, H) what each head adds, before the divisor of the final norm."""
        model, of_rows = self._head.model, taken(contexts, self._rows, -2)
        is_normed = kind is not Kind.CROSS and model.spec.attention_result_norm is not None
        result = exact(attention.projected(of_rows)) if is_normed else None
        read = read_of_result(model, kind, layer, in_stream, result)
        assert attention.projection is not None, "a native layer has W^O"
        heads_read = read_through(attention.projection, read, attention.heads)
        return added(np.moveaxis(exact(of_rows), -3, -2), heads_read)
