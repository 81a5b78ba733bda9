"""Where a token stands, told by turning its query and key: rotary position embedding.

Su et al. 2021, arXiv:2104.09864. Which frequencies a checkpoint asks for is read in `models/rope.py`.
"""

from dataclasses import dataclass

from attn_cli.core.arrays import Array, namespace, positions


@dataclass(frozen=True, slots=True)
class Rotary:
    """How queries and keys turn: pair r of position p turns by p · frequencies[r].

    The first R features of a head turn, R being twice the number of frequencies; the rest stay.
    The two features of a pair are R/2 apart (Llama, GPT-NeoX), or neighbours if `interleaved`
    (GPT-J, the paper).
    """

    frequencies: Array  # (R/2,) radians a position
    gain: float = 1.0  # what the scaled variants multiply onto both queries and keys
    interleaved: bool = False


def rotate(x: Array, rotary: Rotary) -> Array:
    """(H, T, D) queries or keys, each turned by its position.

    The angles are float32, as in Hugging Face (`modeling_rope_utils.py`), whatever `x` is.
    """
    xp = namespace(x)
    frequencies = xp.asarray(rotary.frequencies, dtype=xp.float32, device=x.device)
    places = xp.astype(positions(x.shape[-2], x), xp.float32)
    angles = places[:, None] * frequencies[None, :]  # (T, R/2)
    cosine = xp.astype(xp.cos(angles) * rotary.gain, x.dtype, copy=False)
    sine = xp.astype(xp.sin(angles) * rotary.gain, x.dtype, copy=False)
    turning = 2 * frequencies.shape[0]
    first, second = _pairs(x[..., :turning], interleaved=rotary.interleaved)
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return xp.concat([_joined(*turned, interleaved=rotary.interleaved), x[..., turning:]], axis=-1)


def _pairs(x: Array, *, interleaved: bool) -> tuple[Array, Array]:
    """The first and the second feature of every pair."""
    half = x.shape[-1] // 2
    return (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])


def _joined(first: Array, second: Array, *, interleaved: bool) -> Array:
    """The features back in their places: the inverse of `_pairs`."""
    xp = namespace(first)
    if not interleaved:
        return xp.concat([first, second], axis=-1)
    woven = xp.stack([first, second], axis=-1)
    return xp.reshape(woven, (*first.shape[:-1], 2 * first.shape[-1]))
