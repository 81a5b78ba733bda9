"""What heads write, not where they look: the norm of what each key adds to the output of a head.

Kobayashi et al. 2020, arXiv:2004.10102: key j adds α_ij f(x_j) to row i, f(x) = (x W^V + b^V) W^O with the
head's slices; the bias of W^O belongs to no key. Weights are never negative, so ‖α_ij f(x_j)‖ is
α_ij ‖f(x_j)‖: one number for each key and head, times weights. H query heads, T queries, S keys, D head
size, M model width.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from attn_cli.core.arrays import Array, Exact, Floats, at_least_float32, device_of, exact, namespace
from attn_cli.core.attention import Operands
from attn_cli.core.context import attend
from attn_cli.core.hiding import Hiding
from attn_cli.core.streaming.key_tokens import KeyTokens
from attn_cli.core.streaming.row_metrics import RowMetrics
from attn_cli.record import record
from attn_cli.vocabulary import Metric

SAME_ROWS: Mapping[Metric, Metric] = {
    Metric.WRITTEN: Metric.ENTROPY,
    Metric.WRITTEN_FIRST: Metric.FIRST,
    Metric.WRITTEN_ON: Metric.ON,
}
"""The metrics of what heads write, each with a metric of weights for which the same rows count."""


def key_norms(values: Array, slices: Sequence[Array]) -> Array:
    """(..., H, S) ‖f(x_j)‖ for each head, from its values (..., H, S, D) and slice of W^O (M, D).

    In float32 or better.
    """
    xp = namespace(values)
    of_heads = [_norms(values[..., head, :, :], columns) for head, columns in enumerate(slices)]
    return xp.stack(of_heads, axis=-2)


def shares_of_rows(norms: Array) -> Array:
    """(..., T, S) norms divided by the sum of their row; a row in which nothing is written is zeros."""
    xp = namespace(norms)
    total = xp.sum(norms, axis=-1, keepdims=True)
    return norms / xp.where(total > 0, total, xp.ones_like(total))


@record(frozen=True, slots=True, eq=False)
class WrittenRows:
    """What is written in each row, by keys that are in sight."""

    total: Exact  # (H, T) Σ_j ‖α_ij f(x_j)‖
    first: Exact  # (H, T) by the first key
    on: Exact  # (H, T) by chosen keys
    left: Exact | None = None  # (H, T) the weight to divide by; None: rows are not renormalized

    @classmethod
    def of(cls, operands: Operands, norms: Array, tokens: KeyTokens, hiding: Hiding | None) -> "WrittenRows":
        """Of a layer in which each head has its own keys, and its norms (H, S).

        They are weighted sums of norms, as contexts are of values: computed by the same code, in memory that
        grows with T + S.
        """
        features = [_flag(norms, each) * norms for each in _flags(norms, tokens, hiding)]
        if hiding is not None and hiding.is_renormalized:
            features.append(_flag(norms, _seen(norms, hiding)) + 0 * norms)
        sums = exact(attend(_carrying(operands, features)))
        total, first, on = (sums[..., feature] for feature in range(3))
        return cls(total, first, on, sums[..., 3] if len(features) > 3 else None)  # noqa: PLR2004  with `left`

    @classmethod
    def of_matrices(
        cls, norms: Floats, weights: Floats, tokens: KeyTokens, hiding: Hiding | None
    ) -> "WrittenRows":
        """The same from full matrices of norms and weights (H, T, S)."""
        flags = _flags(norms[:, 0], tokens, hiding)
        total, first, on = (norms.astype(np.float64) @ flag for flag in flags)
        if hiding is None or not hiding.is_renormalized:
            return cls(total, first, on)
        return cls(total, first, on, weights.astype(np.float64) @ _seen(norms, hiding))

    @classmethod
    def joined(cls, blocks: "Sequence[WrittenRows]") -> "WrittenRows":
        """The rows of all blocks."""
        lefts = [block.left for block in blocks if block.left is not None]
        return cls(
            np.concatenate([block.total for block in blocks], axis=-1),
            np.concatenate([block.first for block in blocks], axis=-1),
            np.concatenate([block.on for block in blocks], axis=-1),
            np.concatenate(lefts, axis=-1) if lefts else None,
        )

    def metrics(self, wanted: Collection[Metric]) -> dict[Metric, Exact]:
        """The metrics (H, T) that are wanted; shares are of the row's total."""
        written = self.total if self.left is None else _divided(self.total, self.left)
        found = {
            Metric.WRITTEN: written,
            Metric.WRITTEN_FIRST: _divided(self.first, self.total),
            Metric.WRITTEN_ON: _divided(self.on, self.total),
        }
        return {metric: values for metric, values in found.items() if metric in wanted}


def with_written(measured: RowMetrics, rows: WrittenRows, wanted: Collection[Metric]) -> RowMetrics:
    """The metrics of a layer, with those of what its heads write: the same rows count as for `SAME_ROWS`."""
    found = {
        metric: values
        for metric, values in rows.metrics(wanted).items()
        if SAME_ROWS[metric] in measured.eligible
    }
    are_finite = [np.isfinite(values).all(axis=-1) for values in found.values()]
    return replace(
        measured,
        values={**measured.values, **found},
        eligible={
            **measured.eligible,
            **{metric: measured.eligible[SAME_ROWS[metric]] for metric in found},
        },
        are_finite=np.all([measured.are_finite, *are_finite], axis=0),
    )


def _norms(values: Array, columns: Array) -> Array:
    """(..., S) the norms of values (..., S, D) times a slice of W^O (M, D), transposed."""
    xp, exact_values, narrow = namespace(values), at_least_float32(values), at_least_float32(columns)
    if int(values.shape[-2]) > int(columns.shape[-1]):  # W^O = QR, and Q keeps lengths: R is D × D
        narrow = xp.linalg.qr(narrow)[1]
    return xp.linalg.vector_norm(xp.matmul(exact_values, xp.matrix_transpose(narrow)), axis=-1)


def _carrying(operands: Operands, features: Sequence[Array]) -> Operands:
    """The layer with these features (H, S) as values, as wide as its queries: fused kernels need that."""
    queries, keys = at_least_float32(operands.queries), at_least_float32(operands.keys)
    xp, width = namespace(queries), max(int(queries.shape[-1]), len(features))
    padding = [xp.zeros_like(features[0])] * (width - len(features))
    values = xp.astype(xp.stack([*features, *padding], axis=-1), queries.dtype, copy=False)
    return replace(operands, queries=queries, keys=keys, values=values)


def _flags(norms: Array, tokens: KeyTokens, hiding: Hiding | None) -> tuple[Exact, Exact, Exact]:
    """(S,) which keys count in the sum, which is the first, and which were chosen: 1 or 0."""
    seen = _seen(norms, hiding)
    first = (np.arange(seen.size) == 0) * seen
    return seen, first, seen * 0 if tokens.on is None else seen * tokens.on


def _seen(norms: Array, hiding: Hiding | None) -> Exact:
    """(S,) 1 for keys in sight, 0 for hidden ones."""
    seen = np.ones(int(norms.shape[-1]))
    if hiding is not None:
        seen[list(hiding.keys)] = 0
    return seen


def _flag(norms: Array, flags: Exact) -> Array:
    """The flags (S,) with the library, device and dtype of the norms."""
    return namespace(norms).asarray(flags, dtype=norms.dtype, device=device_of(norms))


def _divided(numbers: Exact, by: Exact) -> Exact:
    """The quotients; 0 where there is nothing to divide by."""
    return np.divide(numbers, by, out=np.zeros_like(numbers), where=by > 0)
