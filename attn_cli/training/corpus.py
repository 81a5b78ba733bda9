"""Turns text files of any size into shuffled rows of token ids, read in chunks and memory-mapped."""

import codecs
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attn_cli.errors import AttnError
from attn_cli.mapped_files import watch
from attn_cli.record import record
from attn_cli.safe_text import text_encoding
from attn_cli.training.atomic_write import written_atomically

if TYPE_CHECKING:
    import tokenizers

Ids = npt.NDArray[np.integer[Any]]

START = 0
"""The id of the token that begins every text and every row."""

_BLOCK = 1 << 20  # bytes read at once
_STRETCH = 1 << 16  # characters per chunk to encode
_TOGETHER = 64  # chunks encoded as one batch by the tokenizer's threads
_SHORTEST_REPEAT = 8  # tokens


@record(frozen=True, slots=True)
class TextFile:
    """A text file's name, checksum and length, for the model card."""

    name: str
    sha256: str
    characters: int


def stretches(path: Path) -> Iterator[str]:
    """The text of the file in chunks, split between words if possible; only a block is held in memory.

    Raises:
        AttnError: the file cannot be read, or is not UTF-8.
    """
    rest, place = "", 0
    with _explained(path), path.open("rb") as file:
        beginning = file.read(len(codecs.BOM_UTF32_LE))
        encoding = text_encoding(beginning).removesuffix("-sig")
        decoder = codecs.getincrementaldecoder(encoding)()  # that of UTF-8 knows no mark, the others do
        file.seek(len(codecs.BOM_UTF8) if beginning.startswith(codecs.BOM_UTF8) else 0)
        place = file.tell()
        while block := file.read(_BLOCK):
            try:
                rest += decoder.decode(block)
            except UnicodeDecodeError as error:
                raise _not_decoded(path, encoding, error, place + len(block) - len(error.object)) from error
            place += len(block)
            *whole, rest = _cut(rest)
            yield from whole
        try:
            rest += decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise _not_decoded(path, encoding, error, place - len(error.object)) from error
    if rest:
        yield rest


def described(path: Path) -> TextFile:
    """Compute the file's checksum and length.

    Raises:
        AttnError: it cannot be read, is not a regular file, is not UTF-8, or is blank.
    """
    with _explained(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise AttnError(f"{path} is a pipe, but must be read more than once", "save it to a file first")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    characters, is_blank = 0, True
    for stretch in stretches(path):
        characters += len(stretch)
        is_blank = is_blank and not stretch.strip()
    if is_blank:
        raise AttnError(f"{path} contains no words", "choose a text file with words")
    return TextFile(path.name, digest, characters)


def encode(files: Sequence[Path], tokenizer: "tokenizers.Tokenizer", target: Path) -> None:
    """Write the ids of all files, each file preceded by `START`, as one array of 16- or 32-bit integers."""
    numbers = id_type(tokenizer.get_vocab_size())
    tokenizer.encode_special_tokens = True  # `<s>` in a text is three characters, not the special token
    with written_atomically(target) as temporary, temporary.open("wb") as out:
        for path in files:
            out.write(np.asarray([START], numbers).tobytes())
            stream = stretches(path)
            while together := list(islice(stream, _TOGETHER)):
                for encoding in tokenizer.encode_batch_fast(together, add_special_tokens=False):
                    out.write(np.asarray(encoding.ids, numbers).tobytes())


def id_type(vocabulary: int) -> type[np.uint16 | np.uint32]:
    """The smallest integer type that fits every id."""
    return np.uint16 if vocabulary <= 1 << 16 else np.uint32


def mapped(path: Path, vocabulary: int) -> Ids:
    """The ids in the file, mapped into memory.

    Raises:
        AttnError: they are not ids of a vocabulary of this size.
    """
    kind = np.dtype(id_type(vocabulary))
    with _explained(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size and size % kind.itemsize == 0:
            watch(path, file.fileno())
            ids: Ids = np.memmap(file, kind, mode="r")
            if all(int(ids[at : at + _BLOCK].max()) < vocabulary for at in range(0, ids.size, _BLOCK)):
                return ids
    problem = f"{path} is damaged: its {size} bytes are not ids of the {vocabulary} tokens of the run"
    raise AttnError(problem, "--force to start over")


def windows(ids: Ids, context: int, stride: int) -> Iterator[tuple[npt.NDArray[np.int64], int]]:
    """Rows of up to T + 1 tokens over `ids`, `stride` apart, each with the number of its new tokens."""
    done = 0
    for start in range(0, ids.size, stride):
        if done == ids.size:
            return
        end = min(start + context, ids.size)
        yield np.concatenate([[START], ids[start:end]]).astype(np.int64), end - done
        done = end


@record(frozen=True, slots=True, eq=False)
class TrainingRows:
    """Rows of T + 1 tokens from a long text, in an order that depends only on the seed.

    Every epoch contains each row once. The order is i ↦ (i · stride + start) mod rows with a stride
    coprime to the number of rows: nothing is stored, so a text of any length can be shuffled, and row i
    of a run is known without the rows before it.
    """

    ids: Ids
    context: int
    seed: int
    repeats: float

    @property
    def count(self) -> int:
        """The number of rows per epoch."""
        return self.ids.size // self.context - 1

    def batch(self, step: int, size: int) -> npt.NDArray[np.int64]:
        """(B, T + 1) the rows of one step; the first of each is `START`."""
        return np.stack([self._row(step * size + index) for index in range(size)])

    def _row(self, number: int) -> npt.NDArray[np.int64]:
        epoch, index = divmod(number, self.count)
        order = _order(self.seed, epoch, self.count, self.context)
        first = (index * order.stride + order.start) % self.count * self.context + order.shift
        ids = np.empty(self.context + 1, np.int64)
        ids[0] = START
        ids[1:] = self.ids[first : first + self.context]
        draw = np.random.default_rng([self.seed, 1, number])
        if draw.random() < self.repeats:
            _repeat(ids, draw)
        return ids


@record(frozen=True, slots=True)
class _Shuffle:
    """The order of the rows in one epoch."""

    shift: int  # tokens: each epoch splits the text into rows at different places
    stride: int  # rows
    start: int


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int, context: int) -> _Shuffle:
    draw = np.random.default_rng([seed, 0, epoch])
    shift, stride = int(draw.integers(context)), _coprime(draw, count)
    return _Shuffle(shift, stride, start=int(draw.integers(count)))


def _coprime(draw: np.random.Generator, count: int) -> int:
    """A random number coprime to `count`."""
    while True:
        number = int(draw.integers(1, count + 1))
        if math.gcd(number, count) == 1:
            return number


def _repeat(ids: npt.NDArray[np.int64], draw: np.random.Generator) -> None:
    """Copy a passage of the row, without `START`, to a later place in the row."""
    size = ids.size - 1
    length = int(draw.integers(min(_SHORTEST_REPEAT, max(1, size // 4)), size // 2 + 1))
    first = 1 + int(draw.integers(0, size - 2 * length + 1))
    second = int(draw.integers(first + length, 1 + size - length + 1))
    ids[second : second + length] = ids[first : first + length]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` into an `AttnError` about `path`."""
    try:
        yield
    except FileNotFoundError as error:
        raise AttnError(f"{path} does not exist", "check the path") from error
    except OSError as error:
        raise AttnError(f"{path} cannot be read: {error.strerror}", "check the path") from error


def _not_decoded(path: Path, encoding: str, error: UnicodeDecodeError, place: int) -> AttnError:
    """The error for an invalid byte; `error.object` starts at byte `place` of the file."""
    byte = f"byte {place + error.start} is 0x{error.object[error.start]:02x}"
    return AttnError(
        f"{path} is not {encoding.upper()}: {byte}", "convert it, for example: iconv -f latin1 -t utf-8"
    )


def _cut(text: str) -> list[str]:
    """`text` in chunks of about `_STRETCH` characters; the last one is incomplete."""
    complete, start = [], 0
    while len(text) - start > _STRETCH:
        end = _break(text, start, start + _STRETCH)
        complete.append(text[start:end])
        start = end
    return [*complete, text[start:]]


def _break(text: str, start: int, end: int) -> int:
    """The place before the last newline, else before the last space, else `end`."""
    places = (text.rfind(white, start + 1, end) for white in "\n ")
    return next((place for place in places if place > start), end)
