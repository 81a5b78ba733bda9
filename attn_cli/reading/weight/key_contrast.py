"""Why a query prefers one key to another: the difference of two scores, by what wrote it into the stream.

score_a - score_b = scale · q·(k_a - k_b). Both q and k are linear in the residual stream once the statistics
of the norms on the way are held fixed, so the difference splits twice: by what wrote the streams of the two
keys (with the query as it is), and by what wrote the query's (with the keys as they are). Each part is turned
by RoPE at its token's position.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np

from attn_cli.answers.contrast import BiasTerm, BiasType, ContrastSide, Contribution, KeyContrast, PairOfKeys
from attn_cli.core.arrays import Array, Exact, device_of, exact, namespace, taken
from attn_cli.core.attention import Operands, Trace, soft_capped, trace
from attn_cli.core.decomposition import Component, DecomposedInput, Decomposition
from attn_cli.core.layers import LayerNorm, RmsNorm
from attn_cli.core.multihead import Linear, MultiHeadAttention
from attn_cli.core.positions import DisentangledBias, rotate
from attn_cli.reading.memory import check_heads_fit
from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.reading.steps import check_finite, unwarned
from attn_cli.reading.window import Window
from attn_cli.record import record
from attn_cli.vocabulary import ComponentType, Kind, Step


@unwarned
def contrast_keys(reading: Reading, place: Place, query: int, key: int, other: int) -> KeyContrast:
    """Why the head at `place` scores `key` higher or lower than `other` for this query.

    Raises:
        AttnError: the source does not know what wrote into its residual stream, a number is not finite, or
            there is not enough memory.
    """
    number, head = place
    row = Window(len(reading.queries), len(reading.keys), [query], range(len(reading.keys)))
    check_heads_fit(reading, [place], {Step.LOGITS}, row)
    found = reading.source.decomposed_input(reading.texts, reading.kind, number, [query], [key, other])
    pair = _Pair(found, head, query, (key, other))
    check_finite(
        bool(np.isfinite([pair.scores.key, pair.scores.other]).all()), f"scores of head {number}.{head}"
    )
    return KeyContrast(
        kind=reading.kind,
        layer=number,
        head=head,
        kv_head=found.attention.kv_head(head),
        query=query,
        key=key,
        other=other,
        scale=found.attention.scale,
        scores=pair.scores,
        keys_side=pair.keys_side(reading.kind),
        query_side=pair.query_side(reading.kind),
        logits=pair.logits,
        capped=pair.capped,
        biases=tuple(pair.biases()),
    )


@record(frozen=True, eq=False)
class _Pair:
    """One row of one head, and two of its keys."""

    found: DecomposedInput
    head: int
    query: int
    keys: tuple[int, int]

    @cached_property
    def row(self) -> Operands:
        return self.found.attention.at([self.query]).operands.select([self.head])

    @cached_property
    def traced(self) -> Trace:
        return trace(self.row)

    @property
    def scores(self) -> PairOfKeys:
        return self._chosen(self.traced.scores)

    @property
    def logits(self) -> PairOfKeys:
        return self._chosen(self.traced.logits)

    @property
    def capped(self) -> PairOfKeys | None:
        cap = self.row.softcap
        return None if cap is None else self._chosen(soft_capped(self.traced.scores, cap))

    def biases(self) -> Iterator[BiasTerm]:
        """What is added to the scores, term by term."""
        bias = self.found.attention.operands.bias
        if bias is None:
            return
        xp, device = namespace(self.row.queries), device_of(self.row.queries)
        query, keys = (xp.asarray(each, device=device) for each in ([[self.query]], [[*self.keys]]))
        if not isinstance(bias, DisentangledBias):
            yield self._term(BiasType.POSITION, bias(query, keys))
            return
        to_position, to_content = bias.terms(query, keys)
        if to_position is not None:
            yield self._term(BiasType.CONTENT_TO_POSITION, to_position * bias.embeddings.scale)
        if to_content is not None:
            yield self._term(BiasType.POSITION_TO_CONTENT, to_content * bias.embeddings.scale)

    def _term(self, which: BiasType, values: Array) -> BiasTerm:
        """A term (H, 1, 2) of our head."""
        key, other = exact(values[self.head, 0])
        return BiasTerm(which, PairOfKeys(float(key), float(other)))

    def keys_side(self, kind: Kind) -> ContrastSide:
        """The split by what wrote the streams of the two keys."""
        layer, kv_head = self._layer, self.found.attention.kv_head(self.head)
        keys = _projected(layer.key, layer.key_norm, kv_head, self.found.keys, layer).turned(
            self._turn(self.keys)
        )
        query = exact(self.row.queries)[0, 0] * self.row.scale
        return self._side(kind, keys.components, keys.parts @ query, keys.constant @ query)

    def query_side(self, kind: Kind) -> ContrastSide:
        """The split by what wrote the query's stream."""
        layer = self._layer
        queries = _projected(layer.query, layer.query_norm, self.head, self.found.queries, layer)
        turned = queries.turned(self._turn([self.query]))
        keys = exact(taken(self.row.keys[0], self.keys, -2)) * self.row.scale  # (2, D)
        return self._side(kind, turned.components, turned.parts[:, 0] @ keys.T, turned.constant[0] @ keys.T)

    def _side(
        self, kind: Kind, components: Sequence[Component], parts: Exact, constant: Exact
    ) -> ContrastSide:
        """The contributions of the parts (N, 2) and the constant (2,)."""
        named = [*components, Component(ComponentType.CONSTANT, kind)]
        rows = [*parts, constant]
        contributions = [
            Contribution(each, float(to), float(over)) for each, (to, over) in zip(named, rows, strict=True)
        ]
        total = sum(each.value for each in contributions)
        return ContrastSide(tuple(contributions), self.scores.difference - total)

    @property
    def _layer(self) -> MultiHeadAttention:
        layer = self.found.attention.layer
        assert layer is not None, "a layer whose input is known in parts is ours"
        return layer

    def _turn(self, places: Sequence[int]) -> Callable[[Exact], Exact]:
        """How RoPE turns vectors (..., P, D) at these positions: the matrices with which it ran."""
        rotary = self._layer.rotary
        if rotary is None:
            return lambda x: x
        like = self.row.queries
        xp, size = namespace(like), like.shape[-1]
        basis = xp.eye(size, dtype=like.dtype, device=device_of(like))[:, None, :]  # (D, 1, D)
        turns = np.stack([exact(rotate(basis, rotary, [place]))[:, 0] for place in places])  # (P, D, D)
        return lambda x: np.matmul(x[..., None, :], turns)[..., 0, :]

    def _chosen(self, values: Array) -> PairOfKeys:
        """The numbers of the two keys in a row (1, 1, S)."""
        key, other = exact(taken(values[0, 0], self.keys, 0))
        return PairOfKeys(float(key), float(other))


def _projected(
    linear: Linear,
    norm: LayerNorm | RmsNorm | None,
    head: int,
    given: Decomposition,
    layer: MultiHeadAttention,
) -> Decomposition:
    """A head's queries or keys before RoPE; a norm over all heads together needs those of all of them."""
    rows = slice(head * layer.head_size, (head + 1) * layer.head_size)
    if layer.is_norm_whole:
        return given.through(linear).normed(norm).features(rows)
    bias = None if linear.bias is None else linear.bias[rows]
    return given.through(Linear(linear.weight[rows], bias)).normed(norm)
