"""The keys and values of the tokens that a layer has read, so that later tokens are read without them.

A decoder's keys and values do not depend on later tokens: reading one more token costs a row of the scores
instead of the whole matrix.
"""

from collections.abc import Callable

from attn_cli.core.arrays import Array, namespace

_FIRST_ROOM = 64  # tokens


class Past:
    """The keys (G, S, D) and values (G, S, D) of the S tokens that one layer has read so far."""

    def __init__(self) -> None:
        self.count = 0  # S
        self._keys: Array | None = None  # (G, room, D): more rows than there are tokens
        self._values: Array | None = None

    def extended(self, keys: Array, values: Array) -> tuple[Array, Array]:
        """The keys and values so far, then these of the next tokens (G, T, D), which are kept too."""
        self._keys = self._with_room(self._keys, keys)
        self._values = self._with_room(self._values, values)
        start, self.count = self.count, self.count + int(keys.shape[-2])
        self._keys[..., start : self.count, :] = keys
        self._values[..., start : self.count, :] = values
        return self._keys[..., : self.count, :], self._values[..., : self.count, :]

    def once(self, make: Callable[[], tuple[Array, Array]]) -> tuple[Array, Array]:
        """The keys and values of another text, made the first time: those of cross-attention."""
        if self._keys is None or self._values is None:
            self._keys, self._values = make()
        return self._keys, self._values

    def _with_room(self, kept: Array | None, added: Array) -> Array:
        """`kept`, or a longer copy of it if the rows of `added` do not fit: twice as long, so it is rare."""
        needed = self.count + int(added.shape[-2])
        if kept is not None and kept.shape[-2] >= needed:
            return kept
        xp = namespace(added)
        room = max(_FIRST_ROOM, needed if kept is None else 2 * needed)
        longer = xp.empty((*added.shape[:-2], room, added.shape[-1]), dtype=added.dtype, device=added.device)
        if kept is not None:
            longer[..., : self.count, :] = kept[..., : self.count, :]
        return longer
