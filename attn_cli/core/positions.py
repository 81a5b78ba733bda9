"""Position encodings: sinusoids, rotary embeddings, and biases on the scores.

Rotary position embedding (RoPE): Su et al. 2021, arXiv:2104.09864; the frequencies of a checkpoint are read
in `models/native/rope.py`. ALiBi: Press et al. 2021, arXiv:2108.12409. Relative bias: Raffel et al. 2019,
arXiv:1910.10683, section 2.1.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from attn_cli.core.arrays import Array, device_of, namespace, positions
from attn_cli.record import record


@record(frozen=True, slots=True)
class Rotary:
    """A rotary embedding: at position p, pair r of features is rotated by the angle p · frequencies[r].

    The first R features of a head are rotated, where R is twice the number of frequencies; the others are
    unchanged. The two features of a pair are R/2 apart (Llama, GPT-NeoX), or adjacent if `interleaved`
    (GPT-J, the paper).
    """

    frequencies: Array  # (R/2,) radians per position
    gain: float = 1.0  # factor of both queries and keys, in the scaled variants
    interleaved: bool = False
    exact: Callable[[], Array] | None = None  # the frequencies in float64; None: they are not known better

    def turn(self, places: Array, like: Array) -> tuple[Array, Array]:
        """The cosine and the sine of each pair's angle at the positions (T,), times the gain: each (T, R/2).

        The angles are float32 also in half precision, as in transformers (`modeling_rope_utils.py`), and
        float64 for a `like` in float64 if the frequencies are known so well; the results have its dtype.
        """
        xp = namespace(like)
        exact = self.exact if like.dtype == xp.float64 else None
        numbers = xp.float32 if exact is None else xp.float64
        known = self.frequencies if exact is None else exact()
        frequencies = xp.asarray(known, dtype=numbers, device=like.device)
        angles = xp.astype(places, numbers)[:, None] * frequencies[None, :]  # (T, R/2)
        cosine = xp.astype(xp.cos(angles) * self.gain, like.dtype, copy=False)
        return cosine, xp.astype(xp.sin(angles) * self.gain, like.dtype, copy=False)

    def pair_of(self, feature: int) -> tuple[int, int, int] | None:
        """The two features of the pair that a feature is in, and the pair's number; None: not rotated."""
        pairs = int(self.frequencies.shape[0])
        if feature >= 2 * pairs:
            return None
        pair = feature // 2 if self.interleaved else feature % pairs
        return (2 * pair, 2 * pair + 1, pair) if self.interleaved else (pair, pair + pairs, pair)


def rotate(x: Array, rotary: Rotary, places: Sequence[int] | None = None) -> Array:
    """(H, T, D) queries or keys, each rotated according to its position: 0 to T - 1, or one of `places`.

    The first feature of a pair becomes first · cos - second · sin, the second second · cos + first · sin.
    """
    xp = namespace(x)
    at = positions(x.shape[-2], x) if places is None else xp.asarray(list(places), device=device_of(x))
    cosine, sine = rotary.turn(at, x)
    turning = 2 * cosine.shape[-1]
    first, second = _pairs(x[..., :turning], interleaved=rotary.interleaved)
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return xp.concat([_joined(*turned, interleaved=rotary.interleaved), x[..., turning:]], axis=-1)


def _pairs(x: Array, *, interleaved: bool) -> tuple[Array, Array]:
    """The first and the second features of all pairs."""
    half = x.shape[-1] // 2
    return (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])


def _joined(first: Array, second: Array, *, interleaved: bool) -> Array:
    """The inverse of `_pairs`."""
    xp = namespace(first)
    if not interleaved:
        return xp.concat([first, second], axis=-1)
    woven = xp.stack([first, second], axis=-1)
    return xp.reshape(woven, (*first.shape[:-1], 2 * first.shape[-1]))


def sinusoids(places: Array, width: int) -> Array:
    """(T, M) sines, then cosines, of the positions: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    In the paper they alternate; all sines before all cosines is Marian's order (`modeling_marian.py`).
    """
    xp = namespace(places)
    exact = xp.astype(places, xp.float64)[:, None]
    pairs = xp.astype(positions(width, places), xp.float64) // 2
    angles = exact / 10000.0 ** (2 * pairs / width)
    return xp.concat([xp.sin(angles[:, ::2]), xp.cos(angles[:, 1::2])], axis=-1)


@record(frozen=True, slots=True, eq=False)
class Alibi:
    """ALiBi as in BLOOM: the head's slope times the position of the key.

    The paper uses the distance instead, which differs by a constant in each row, so the weights are the same
    (`modeling_bloom.py`).
    """

    slopes: Array  # (H,) in float32 or better
    dtype: Any  # of the bias

    def __call__(self, _queries: Array, keys: Array) -> Array:
        """(H, 1, S) the bias of the keys (1, S), for every query."""
        xp, slopes = namespace(self.slopes), self.slopes
        places = xp.astype(keys, slopes.dtype)[None]
        return xp.astype(slopes[:, None, None] * places, self.dtype, copy=False)

    def slope(self, head: int) -> float:
        """What one position adds to a score of this head."""
        return float(self.slopes[head])


def alibi(heads: int, like: Array) -> Alibi:
    """ALiBi for so many heads, in the dtype of `like`."""
    xp = namespace(like)
    numbers = xp.float64 if like.dtype == xp.float64 else xp.float32
    return Alibi(xp.asarray(_slopes(heads), dtype=numbers, device=device_of(like)), like.dtype)


def _slopes(heads: int) -> list[float]:
    """2^(-8h/H) for heads h = 1, 2, ...; if H is not a power of two, the rest interleaves with these."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    between = [2 ** (-4 * (head + 1) / power) for head in range(0, 2 * (heads - power), 2)]
    return slopes + between


@record(frozen=True, slots=True)
class LogarithmicBuckets:
    """DeBERTa's buckets of distances: exact up to half of `count`, logarithmic beyond.

    Distances to later keys are negative. He et al. 2021, arXiv:2111.09543, and `make_log_bucket_position`.
    """

    count: int | None  # None: one bucket per distance
    farthest: int  # tokens
    span: int  # distances are limited to -span ... span - 1

    def of(self, queries: Array, keys: Array) -> Array:
        """(T, S) the table row of each pair's distance, from 0 to 2 · span - 1."""
        xp = namespace(keys)
        distance = queries - keys
        if self.count is not None:
            distance = self._squeezed(distance)
        shifted = distance + self.span
        return xp.clip(shifted, 0, 2 * self.span - 1)

    def _squeezed(self, distance: Array) -> Array:
        assert self.count is not None, "checked by the caller"
        xp, middle = namespace(distance), self.count // 2
        size = xp.astype(xp.abs(distance), xp.float32)
        far = xp.where(size > middle, size, xp.ones_like(size) * middle)
        # The same function of the same float32: a distance of `farthest` - 1 is at the edge of a bucket.
        edge = xp.asarray((self.farthest - 1) / middle, dtype=xp.float32, device=device_of(distance))
        steps = xp.ceil(xp.log(far / middle) / xp.log(edge) * (middle - 1)) + middle
        return xp.where(size > middle, xp.astype(steps, xp.int64) * xp.sign(distance), distance)


@record(frozen=True, slots=True, eq=False)
class Disentangled:
    """DeBERTa's bias: queries and keys times distance embeddings. arXiv:2006.03654, section 3.1."""

    distances: LogarithmicBuckets
    scale: float
    keys: Array | None  # (H, 2 · span, D) multiplied by queries: content to position
    queries: Array | None  # (H, 2 · span, D) multiplied by keys: position to content

    def of(self, queries: Array, keys: Array) -> "DisentangledBias":
        """The bias of a layer with these queries (H, T, D) and keys (H, S, D)."""
        return DisentangledBias(self, queries, keys)


@record(frozen=True, slots=True, eq=False)
class DisentangledBias:
    """DeBERTa's bias of a layer: the sum of its terms, times the scale of its scores."""

    embeddings: Disentangled
    queries: Array  # (H, T, D)
    keys: Array  # (H, S, D)

    def __call__(self, rows: Array, columns: Array) -> Array:
        """(H, T, S) the bias of the queries at `rows` (T, 1) and the keys at `columns` (1, S)."""
        return sum(term for term in self.terms(rows, columns) if term is not None) * self.embeddings.scale

    def terms(self, rows: Array, columns: Array) -> tuple[Array | None, Array | None]:
        """(H, T, S) each: content to position, position to content, before the scale; None: not in the model.

        The first is the product of a query with a distance's key, the second of a key with its query.
        """
        xp, known = namespace(self.queries), self.embeddings
        row, to_position, to_content = known.distances.of(rows, columns), None, None
        if known.keys is not None:
            content = xp.take(self.queries, rows[:, 0], axis=-2)
            to_position = _looked_up(content, known.keys, row)
        if known.queries is not None:
            content = xp.take(self.keys, columns[0, :], axis=-2)
            to_content = xp.matrix_transpose(_looked_up(content, known.queries, row.T))
        return to_position, to_content


def _looked_up(vectors: Array, table: Array, rows: Array) -> Array:
    """(H, T, S) the product of each vector (H, T, D) with the given rows (T, S) of a table (H, R, D)."""
    xp = namespace(vectors)
    products = xp.matmul(vectors, xp.matrix_transpose(table))
    return xp.take_along_axis(products, xp.broadcast_to(rows, (*products.shape[:-2], *rows.shape)), axis=-1)


@record(frozen=True, slots=True)
class Buckets:
    """T5's buckets of distances: exact for small ones, logarithmic for large ones."""

    count: int
    farthest: int  # tokens; greater distances share the last bucket
    both_sides: bool  # half of the buckets are for later keys; else later keys count as distance 0

    def of(self, queries: Array, keys: Array) -> Array:
        """(T, S) the bucket of each pair."""
        xp = namespace(keys)
        later = keys - queries
        sides, start = self.count, 0
        if self.both_sides:
            sides, start = self.count // 2, xp.where(later > 0, self.count // 2, 0)
        distance = xp.abs(later) if self.both_sides else xp.where(later < 0, -later, 0)
        exact = sides // 2
        ratio = xp.log(xp.astype(xp.where(distance > 0, distance, 1), xp.float32) / exact)
        steps = xp.astype(ratio / math.log(self.farthest / exact) * (sides - exact), xp.int64)
        far = xp.where(exact + steps < sides, exact + steps, sides - 1)
        return start + xp.where(distance < exact, distance, far)


@record(frozen=True, slots=True, eq=False)
class RelativeBias:
    """T5's bias: a learned number per bucket of distances and head."""

    table: Array  # (buckets, H)
    buckets: Buckets

    def __call__(self, queries: Array, keys: Array) -> Array:
        """(H, T, S) the bias of the queries (T, 1) and the keys (1, S)."""
        xp, table = namespace(self.table), self.table
        bucket = self.buckets.of(queries, keys)
        chosen = xp.take(table, xp.reshape(bucket, (-1,)), axis=0)
        return xp.moveaxis(xp.reshape(chosen, (*bucket.shape, table.shape[1])), -1, 0)
