"""The numbers of one head as compressed text: quantised weights, exact float32 numbers, masks."""

import zlib
from base64 import b64encode

import numpy as np
import numpy.typing as npt

from attn_cli.record import record

Numbers = npt.NDArray[np.floating]
Bits = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

_LEVEL = 9
_RUNS = (
    zlib.Z_RLE
)  # weights repeat only as runs: 5 % smaller than searching for other matches, 50 times faster
_MEMORY = 9
_RAW = -15
_NIBBLE = 4


@record(frozen=True, slots=True)
class PackedHead:
    """A head as a line of the payload, and how far its numbers are from the weights."""

    line: bytes
    error: float  # the largest


@record(frozen=True, slots=True, eq=False)
class SeenCells:
    """Where a mask (T, S) lets the queries look: the indices of these cells, column after column."""

    indices: Indices
    mask: Bits

    @classmethod
    def of(cls, mask: Bits) -> "SeenCells":
        """Those of a mask; worked out once for all heads that have it."""
        columns, rows = np.nonzero(np.ascontiguousarray(mask.T))
        return cls(rows * mask.shape[1] + columns, mask)


def pack_head(weights: Numbers, seen: SeenCells, sink: Numbers | None, bits: int) -> PackedHead:
    """The weights (T, S) that the mask lets the queries see, and what a sink takes of each row (T,).

    They are rounded to multiples of 1 / (2^bits - 1): 8 bits or 12.
    """
    numbers = np.take(weights, seen.indices)
    if sink is not None:
        numbers = np.concatenate([numbers, sink.astype(numbers.dtype)])
    most = (1 << bits) - 1
    exact = numbers * numbers.dtype.type(most)
    levels = np.rint(exact)
    exact -= levels
    error = float(max(exact.max(initial=0), -exact.min(initial=0))) / most
    planes = [levels.astype(np.uint8)] if bits == 8 else _planes(levels.astype(np.uint16))  # noqa: PLR2004  a byte
    return PackedHead(_line(*planes), error)


def _planes(levels: npt.NDArray[np.uint16]) -> list[npt.NDArray[np.uint8]]:
    """The upper 8 bits of each number of 12, then the lower 4, two in a byte."""
    upper, lower = (levels >> _NIBBLE).astype(np.uint8), (levels & 15).astype(np.uint8)
    pairs = np.append(lower, np.zeros(lower.size % 2, np.uint8)).reshape(-1, 2)
    return [upper, (pairs[:, 0] * (1 << _NIBBLE) + pairs[:, 1]).astype(np.uint8)]


def pack_mask(mask: Bits) -> bytes:
    """A mask (T, S) as a line of the payload."""
    return _line(np.packbits(mask.T), strategy=zlib.Z_DEFAULT_STRATEGY)


def pack_exact(numbers: Numbers, mask: Bits | None) -> bytes:
    """Numbers as float32, all of them, or of a matrix (T, S) those that the mask lets the queries see."""
    chosen = numbers.ravel() if mask is None else numbers.T[mask.T]
    return _line(np.ascontiguousarray(chosen.astype("<f4").view(np.uint8).reshape(-1, 4).T))


def _line(*planes: npt.NDArray[np.uint8], strategy: int = _RUNS) -> bytes:
    """The planes deflated, each with a code of its own."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, _MEMORY, strategy)
    parts = [deflate.compress(plane.tobytes()) + deflate.flush(zlib.Z_BLOCK) for plane in planes]
    return b64encode(b"".join([*parts, deflate.flush()]))
