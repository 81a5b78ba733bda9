"""Files of weights: headers that lie, arrays that are not there, pickles that grow."""

import json
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hostile.cases import TEXT, Build, Case, Place
from tests.hostile.processes import Line
from tests.models.gguf.test_gguf import tokenizer, written

_SAFETENSORS = "a header of safetensors that lies"
_GGUF = "metadata of GGUF that lie"
_PICKLE = "a pickle that grows"


def _with_header(header: bytes, announced: int | None = None) -> Build:
    def build(place: Place) -> Line:
        model = place.twin("gpt2")
        size = struct.pack("<Q", len(header) if announced is None else announced)
        (model / "model.safetensors").write_bytes(size + header)
        return Line(("inspect", TEXT, "-m", model))

    return build


def _many_tensors() -> bytes:
    one = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return json.dumps({f"t{number}": one for number in range(10**6)}).encode()


def _tensor(**changes: Any) -> bytes:
    return json.dumps({"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}).encode()


def _gguf(fields: bytes, keys: int = 1, tensors: int = 0, size: int = 0) -> Build:
    def build(place: Place) -> Line:
        file = place.file("a.gguf", b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + fields)
        if size:
            os.truncate(file, size)  # the disk holds a page of it
        return Line(("inspect", TEXT, "-m", file))

    return build


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def _array(name: bytes, kind: int, count: int) -> bytes:
    return _text(name) + struct.pack("<IIQ", 9, kind, count)


def _pickled(content: bytes) -> Build:
    def build(place: Place) -> Line:
        return _of_pickle(place, lambda file: file.write_bytes(content))

    return build


def _archived(content: bytes, how: int, **members: int) -> Build:
    def write(file: Path) -> None:
        with zipfile.ZipFile(file, "w", how) as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/version", "3\n")
            for name, size in members.items():
                archive.writestr(f"archive/data/{name}", bytes(size))

    return lambda place: _of_pickle(place, write)


def _of_pickle(place: Place, write: Callable[[Path], object]) -> Line:
    model = place.twin("gpt2")
    (model / "model.safetensors").unlink()
    write(model / "pytorch_model.bin")
    return Line(("inspect", TEXT, "-m", model))


_BYTEARRAY = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x02\x85R."  # of 8 GB
_LISTS = b"\x80\x02" + b"]" * 90_000 + b"a" * 89_999 + b"."
_NOTHING = b"\x80\x02" + b"N0" * 10**7 + b"}."


def _llama(says: str, *changes: Any, **metadata: Any) -> tuple[Build, str]:
    """A GGUF file that is right but for this."""

    def build(place: Place) -> Line:
        vocabulary = changes[0] if changes else None
        file = written(place.twin("llama"), vocabulary=vocabulary, **metadata)
        return Line(("inspect", TEXT, "-m", file))

    return build, says


def cases() -> Iterator[Case]:
    """Of these three kinds."""
    for name, build, says in (
        ("10⁶ tensors", _with_header(_many_tensors()), "has a header that is too large"),
        (
            "100 MB of lists",
            _with_header(b'{"a":[' + b"[]," * 33_000_000 + b"[]]}"),
            "has a header that is too large",
        ),
        ("9 MB of lists", _with_header(b'{"a":[' + b"[]," * 3_000_000 + b"[]]}"), "has a damaged header"),
        ("10¹⁸ bytes announced", _with_header(b"{}", 10**18), "is truncated"),
        ("a shape of 10¹⁸", _with_header(_tensor(shape=[10**9, 10**9])), "is truncated"),
        ("offsets behind the end", _with_header(_tensor(data_offsets=[0, 2**62])), "is truncated"),
        ("a shape of -1", _with_header(_tensor(shape=[-1, -2])), "has a damaged header"),
    ):
        yield Case(_SAFETENSORS, name, build, says)
    for name, (build, says) in {
        "10⁹ layers": _llama("num_hidden_layers is 1000000000", block_count=10**9),
        "9,999 layers": _llama("is missing from", block_count=9_999),
        "10⁹ heads": _llama(
            "of the shape|has the shape|dimension_count is 8", **{"attention.head_count": 10**9}
        ),
        "a piece of 10⁵ characters": _llama(
            "its longest piece has 100,001 characters", tokenizer(tokens=["a", "b" * 100_001])
        ),
        "merges that are numbers": _llama(
            "its merges are not strings", tokenizer(model="gpt2", pre="gpt-2", merges=[1, 2])
        ),
        "4 GB of bytes in an array, sparse": (
            _gguf(_array(b"k", 0, 2**32), size=2**32 + 200),
            "damaged header: it is longer than 64 MB",
        ),
        "1.5 million strings, sparse": (
            _gguf(_array(b"k", 8, 1_500_000), size=2**31),
            "names no architecture",
        ),
        "an array where a word is due": (
            _gguf(_array(b"general.architecture", 4, 2) + bytes(8)),
            "an array of 2 values as general.architecture",
        ),
        "10⁵ keys": (_gguf(b"", keys=10**5), "it has 100,000 keys"),
        "10⁹ tensors": (_gguf(b"", keys=0, tensors=10**9), "it has 1,000,000,000 tensors"),
    }.items():
        yield Case(_GGUF, name, build, says)
    stored, longer = zipfile.ZIP_STORED, "its pickle is longer than one of tensors"
    for name, build, says in (
        ("a bytearray of 8 GB", _archived(_BYTEARRAY, stored), "would run builtins.bytearray"),
        ("a bytearray of 8 GB, as before PyTorch 1.6", _pickled(_BYTEARRAY), "would run builtins.bytearray"),
        ("lists of lists", _archived(_LISTS, stored), longer),
        ("20 MB of nothing", _pickled(_NOTHING), longer),
        (
            "a member that unfolds to 100 MB",
            _archived(b"\x80\x02}.", zipfile.ZIP_DEFLATED, **{"0": 10**8}),
            "its archive is compressed",
        ),
    ):
        yield Case(_PICKLE, name, build, says)
    yield Case(_PICKLE, "members that overlap", _overlapping, "larger than the file|damaged")


def _overlapping(place: Place) -> Line:
    """An archive with a member that the list at its end names ten thousand times."""

    def write(file: Path) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02}.")
            archive.writestr("archive/data/0", bytes(10**6))
            archive.filelist.extend([archive.filelist[-1]] * 10_000)

    return _of_pickle(place, write)
