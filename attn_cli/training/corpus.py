"""Text files of any size as rows of token ids: read in pieces, mapped, shuffled by arithmetic."""

import codecs
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attn_cli.errors import AttnError

if TYPE_CHECKING:
    import tokenizers

Ids = npt.NDArray[np.integer[Any]]

START = 0
"""The id of the token that every text and every row begins with."""

_BLOCK = 1 << 20  # bytes read at once
_PIECE = 1 << 16  # characters encoded at once
_TOGETHER = 64  # pieces that the tokenizer's threads share
_SHORTEST_REPEAT = 8  # tokens


@dataclass(frozen=True, slots=True)
class TextFile:
    """What a text file holds, for the card."""

    name: str
    sha256: str
    characters: int


def pieces(path: Path) -> Iterator[str]:
    """The text of the file in order, cut between words; never more than a block of it in memory.

    Raises:
        AttnError: the file cannot be read, or is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    rest, place = "", 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                rest += decoder.decode(block)
                place += len(block)
                *whole, rest = _cut(rest)
                yield from whole
            rest += decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        at = place - (len(error.object) - len(block)) + error.start
        problem = f"{path} is not UTF-8: byte {at} is 0x{error.object[error.start]:02x}"
        raise AttnError(problem, "convert it, for example: iconv -f latin1 -t utf-8") from error
    except FileNotFoundError as error:
        raise AttnError(f"{path} does not exist", "check the path") from error
    except OSError as error:
        raise AttnError(f"{path} cannot be read: {error.strerror}", "check the path") from error
    if rest:
        yield rest


def described(path: Path) -> TextFile:
    """The file's checksum and length; it is read once from end to end.

    Raises:
        AttnError: it cannot be read, is not UTF-8, or is blank.
    """
    digest, characters, is_blank = hashlib.sha256(), 0, True
    for piece in pieces(path):
        digest.update(piece.encode("utf-8"))
        characters += len(piece)
        is_blank = is_blank and not piece.strip()
    if is_blank:
        raise AttnError(f"{path} is empty", "give a text file with words")
    return TextFile(path.name, digest.hexdigest(), characters)


def encode(files: Sequence[Path], tokenizer: "tokenizers.Tokenizer", target: Path) -> None:
    """Write the ids of all files, each file begun by `START`, as one array of 16 or 32 bits each."""
    numbers = id_type(tokenizer.get_vocab_size())
    temporary = target.with_suffix(".part")
    with temporary.open("wb") as out:
        for path in files:
            out.write(np.asarray([START], numbers).tobytes())
            stream = pieces(path)
            while together := list(islice(stream, _TOGETHER)):
                for encoding in tokenizer.encode_batch_fast(together, add_special_tokens=False):
                    out.write(np.asarray(encoding.ids, numbers).tobytes())
    temporary.replace(target)


def id_type(vocabulary: int) -> type[np.uint16 | np.uint32]:
    """The smallest type that holds every id."""
    return np.uint16 if vocabulary <= 1 << 16 else np.uint32


def windows(ids: Ids, context: int, stride: int) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """Rows of up to T + 1 tokens over `ids`, `stride` apart; with each, how many of its last are new."""
    done = 0
    for start in range(0, ids.size, stride):
        if done == ids.size:
            return
        end = min(start + context, ids.size)
        yield np.concatenate([[START], ids[start:end]]).astype(np.int64), end - done
        done = end


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of T + 1 tokens out of a long text, in an order that depends on the seed alone.

    In every epoch each row comes once. The order is i ↦ (i · stride + start) mod rows with a stride
    that shares no divisor with the rows: nothing is kept, so a text of any length can be shuffled,
    and row i of a run is known without the rows before it.
    """

    ids: Ids
    context: int
    seed: int
    repeats: float

    @property
    def count(self) -> int:
        """How many rows an epoch has."""
        return self.ids.size // self.context - 1

    def batch(self, step: int, size: int) -> npt.NDArray[np.int64]:
        """(B, T + 1) the rows of one step; the first of each is `START`."""
        return np.stack([self._row(step * size + index) for index in range(size)])

    def _row(self, number: int) -> npt.NDArray[np.int64]:
        epoch, index = divmod(number, self.count)
        draw = np.random.default_rng([self.seed, 0, epoch])
        shift = int(draw.integers(self.context))  # an epoch cuts the text elsewhere than the one before
        row = (index * _coprime(draw, self.count) + int(draw.integers(self.count))) % self.count
        first = row * self.context + shift
        ids = np.empty(self.context + 1, np.int64)
        ids[0] = START
        ids[1:] = self.ids[first : first + self.context]
        own = np.random.default_rng([self.seed, 1, number])
        if own.random() < self.repeats:
            _repeat(ids, own)
        return ids


def _coprime(draw: np.random.Generator, count: int) -> int:
    """A number without a common divisor with `count`."""
    while True:
        found = int(draw.integers(1, count + 1))
        if math.gcd(found, count) == 1:
            return found


def _repeat(ids: npt.NDArray[np.int64], draw: np.random.Generator) -> None:
    """Let a passage of the row, `START` aside, stand once more somewhere behind itself."""
    size = ids.size - 1
    length = int(draw.integers(min(_SHORTEST_REPEAT, size // 2), size // 2 + 1))
    first = 1 + int(draw.integers(0, size - 2 * length + 1))
    second = int(draw.integers(first + length, 1 + size - length + 1))
    ids[second : second + length] = ids[first : first + length]


def _cut(text: str) -> list[str]:
    """`text` in pieces of about `_PIECE` characters, each cut before white space; the last is unfinished."""
    found, start = [], 0
    while len(text) - start > _PIECE:
        end = start + _PIECE
        place = max(text.rfind("\n", start + 1, end), -1)
        place = place if place > start else text.rfind(" ", start + 1, end)
        place = place if place > start else end
        found.append(text[start:place])
        start = place
    return [*found, text[start:]]
