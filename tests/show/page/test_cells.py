"""Weights as bytes, decoded again by the words of the format."""

import zlib
from base64 import b64decode

import numpy as np
import numpy.typing as npt
import pytest

from attn_cli.show.page.cells import SeenCells, pack_exact, pack_head, pack_mask

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.dirichlet(np.full(5, 0.3), 3)  # (3, 5)
MASK = RANDOM.random((3, 5)) < 0.6


def inflated(line: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(b64decode(line), -15), np.uint8)


def test_a_byte_holds_a_weight_column_after_column() -> None:
    packed = pack_head(WEIGHTS, SeenCells.of(MASK), None, bits=8)
    seen = [WEIGHTS[row, column] for column in range(5) for row in range(3) if MASK[row, column]]
    assert inflated(packed.line).tolist() == [round(weight * 255) for weight in seen]
    assert packed.error == pytest.approx(
        max(abs(round(weight * 255) / 255 - weight) for weight in seen), rel=1e-9
    )
    assert packed.error <= 0.5 / 255


@pytest.mark.parametrize("columns", [4, 5])
def test_twelve_bits_are_two_planes(columns: int) -> None:
    weights, mask = WEIGHTS[:, :columns], np.ones((3, columns), dtype=bool)
    packed = pack_head(weights, SeenCells.of(mask), None, bits=12)
    count, found = 3 * columns, inflated(packed.line).astype(int)
    nibbles = np.stack([found[count:] >> 4, found[count:] & 15], axis=1).ravel()[:count]
    assert np.abs((found[:count] * 16 + nibbles) / 4095 - weights.T.ravel()).max() == pytest.approx(
        packed.error, rel=1e-9
    )
    assert packed.error <= 0.5 / 4095 + 1e-12


def test_what_a_sink_takes_comes_last() -> None:
    packed = pack_head(WEIGHTS, SeenCells.of(MASK), np.array([0.0, 0.2, 1.0]), bits=8)
    assert inflated(packed.line)[-3:].tolist() == [0, 51, 255]


def test_a_row_that_may_look_nowhere_has_no_bytes() -> None:
    nothing = np.zeros((3, 5), dtype=bool)
    assert pack_head(WEIGHTS, SeenCells.of(nothing), None, bits=8).error == 0
    assert inflated(pack_head(WEIGHTS, SeenCells.of(nothing), None, bits=8).line).size == 0


def test_a_mask_is_bits_column_after_column() -> None:
    bits = np.unpackbits(inflated(pack_mask(MASK)))
    assert np.array_equal(bits[:15].astype(bool), MASK.T.ravel())


def test_exact_numbers_are_four_planes_of_bytes() -> None:
    numbers = WEIGHTS.astype(np.float32)
    found = inflated(pack_exact(numbers, None)).reshape(4, -1).T.copy().view("<f4").ravel()
    assert np.array_equal(found, numbers.ravel())
