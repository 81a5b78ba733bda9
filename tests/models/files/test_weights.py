"""Reading safetensors: complete, by row, in shards; and every way in which a file can be invalid."""

import json
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attn_cli.errors import AttnError
from attn_cli.models.files.weights import open_weights
from attn_cli.safe_text import condensed

SIX = np.arange(6, dtype=np.float32).reshape(2, 3)
FOUR = np.array([1.5, -2, 0, 1e9], dtype=np.float32)
AGAIN = "download the file again"
TOGETHER = "check that config.json and the weights belong to the same model"


def write(directory: Path, header: object, body: bytes = b"", length: int | None = None) -> Path:
    """Write a safetensors file by hand; `length` is the claimed length of its header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file = directory / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return file


def entry(shape: object = (2,), offsets: object = (0, 8), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def saved(directory: Path, **tensors: npt.NDArray[Any]) -> Path:
    """A file written by the library."""
    file = directory / "model.safetensors"
    safetensors.numpy.save_file(tensors, file)
    return file


def refused(directory: Path, problem: str, hint: str = AGAIN) -> None:
    with pytest.raises(AttnError) as caught:
        open_weights(directory)
    assert (caught.value.problem, caught.value.hint) == (problem, hint)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers_come_back_as_they_were_written(tmp_path: Path, dtype: Any) -> None:
    saved(tmp_path, six=SIX.astype(dtype), four=FOUR.astype(dtype))
    weights = open_weights(tmp_path)
    found = weights.read("six", (2, 3))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, SIX)
    np.testing.assert_array_equal(weights.read("four", (4,)), FOUR)


HALVES = [0.0, -0.0, 1.5, -2.5, 6e-8, 65504.0, float("inf"), -float("inf"), float("nan")]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_exactly(tmp_path: Path, dtype: torch.dtype) -> None:
    halves = torch.tensor(HALVES).to(dtype)
    safetensors.torch.save_file({"halves": halves}, tmp_path / "model.safetensors")
    found = open_weights(tmp_path).read("halves", (9,))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, halves.float().numpy())
    np.testing.assert_array_equal(np.signbit(found[:8]), np.signbit(HALVES[:8]))  # a NaN's sign says nothing


def test_float32_is_not_copied(tmp_path: Path) -> None:
    saved(tmp_path, six=SIX)
    weights = open_weights(tmp_path)
    first, second = weights.read("six", (2, 3)), weights.read("six", (2, 3))
    assert np.shares_memory(first, second)
    assert not first.flags.writeable  # the file cannot be changed


def test_tensors_may_start_anywhere(tmp_path: Path) -> None:
    body = bytes([0, 60]) + np.array([1, 2], np.float32).tobytes()  # float16 1.0; the rest is not aligned
    write(tmp_path, {"one": entry([1], [0, 2], "F16"), "two": entry([2], [2, 10])}, body)
    weights = open_weights(tmp_path)
    np.testing.assert_array_equal(weights.read("one", (1,)), [1])
    np.testing.assert_array_equal(weights.read("two", (2,)), [1, 2])


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32"])
def test_only_the_requested_rows_are_read(tmp_path: Path, dtype: str) -> None:
    rows, width = 2**20, 512  # 1 or 2 GiB, of which the disk holds a page
    size = rows * width * (4 if dtype == "F32" else 2)
    file = write(tmp_path, {"table": entry([rows, width], [0, size], dtype)})
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size + size)
    tracemalloc.start()
    found = open_weights(tmp_path).rows("table", (rows, width), [rows - 1, 0, 7])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.shape == (3, width)
    assert not found.any()
    assert peak < 2**20  # three rows are 6 KiB


def test_rows_come_in_the_requested_order_with_repetition(tmp_path: Path) -> None:
    saved(tmp_path, six=SIX)
    found = open_weights(tmp_path).rows("six", (2, 3), [1, 0, 1])
    np.testing.assert_array_equal(found, [[3, 4, 5], [0, 1, 2], [3, 4, 5]])


def test_prefixes_and_older_names_are_tried_in_turn(tmp_path: Path) -> None:
    saved(tmp_path, **{"bert.Norm.gamma": FOUR, "bert.plain": SIX})
    weights = open_weights(tmp_path, ("", "bert."), {"Norm.weight": "Norm.gamma"})
    np.testing.assert_array_equal(weights.read("Norm.weight", (4,)), FOUR)
    np.testing.assert_array_equal(weights.read("plain", (2, 3)), SIX)


@pytest.mark.parametrize(
    ("name", "shape", "problem", "hint"),
    [
        ("seven", (2, 3), "the tensor seven is missing from {directory}", TOGETHER),
        ("six", (3, 2), "the tensor six in {file} has the shape (2, 3), not (3, 2)", TOGETHER),
        ("six", (6,), "the tensor six in {file} has the shape (2, 3), not (6,)", TOGETHER),
        (
            "whole",
            (2,),
            "the tensor whole in {file} has an unsupported type: I64",
            "use a checkpoint in float32, float16 or bfloat16",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    tmp_path: Path, name: str, shape: tuple[int, ...], problem: str, hint: str
) -> None:
    file = saved(tmp_path, six=SIX, whole=np.array([1, 2]))
    for ask in (open_weights(tmp_path).read, open_weights(tmp_path).check):
        with pytest.raises(AttnError) as caught:
            ask(name, shape)
        assert caught.value.problem == problem.format(directory=tmp_path, file=file)
        assert caught.value.hint == hint


def test_a_directory_without_weights_says_so(tmp_path: Path) -> None:
    problem = f"{tmp_path} has no weights: neither model.safetensors nor pytorch_model.bin"
    refused(tmp_path, problem, "download the model again")


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    refused(tmp_path, f"{tmp_path}/model.safetensors is empty")


def test_a_directory_instead_of_the_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    problem = f"{tmp_path}/model.safetensors cannot be read: Is a directory"
    refused(tmp_path, problem, "check the file's permissions")


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    file = saved(tmp_path, six=SIX)
    monkeypatch.setattr(Path, "open", forbidden)  # root may read everything: permissions prove nothing
    refused(tmp_path, f"{file} cannot be read: Permission denied", "check the file's permissions")


def test_a_file_truncated_in_its_data_names_the_tensor(tmp_path: Path) -> None:
    file = saved(tmp_path, six=SIX)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    size = len(whole)
    refused(tmp_path, f"{file} is truncated: {size - 1} bytes, but the tensor six ends at {size}")


@pytest.mark.parametrize("kept", [1, 7, 8, 20])
def test_a_file_truncated_in_its_header_says_so(tmp_path: Path, kept: int) -> None:
    file = saved(tmp_path, six=SIX)
    file.write_bytes(file.read_bytes()[:kept])
    refused(tmp_path, f"{file} is truncated or not a safetensors file: {kept} bytes")


@pytest.mark.parametrize("length", [3, 100_000_001, 2**62, 2**64 - 1])
def test_a_header_longer_than_the_file_is_refused(tmp_path: Path, length: int) -> None:
    file = write(tmp_path, b"{}", length=length)
    refused(tmp_path, f"{file} is truncated or not a safetensors file: 10 bytes")


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"[", "Expecting value: line 1 column 2 (char 1)"),
        (b"\xff{}", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[]", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b'{"a": {}, "a": {}}', "'a' occurs twice"),
        (b'{"a": {"dtype": "F32", "dtype": "F32"}}', "'dtype' occurs twice"),
        ({"a": None}, "tensor a"),
        ({"a": []}, "tensor a"),
        ({"a": {}}, "tensor a"),
        ({"a": entry(dtype=None)}, "tensor a"),
        ({"a": entry(dtype=["F32"])}, "tensor a"),
        ({"a": entry(shape=None)}, "tensor a"),
        ({"a": entry(shape=2)}, "tensor a"),
        ({"a": entry(shape="2")}, "tensor a"),
        ({"a": entry(shape=[2.0])}, "tensor a"),
        ({"a": entry(shape=[True, 2])}, "tensor a"),
        ({"a": entry(shape=[-1, -2])}, "tensor a"),
        ({"a": entry(shape=[[2]])}, "tensor a"),
        ({"a": entry(shape=[3])}, "tensor a"),
        ({"a": entry(shape=[2**63, 2**63])}, "tensor a"),
        ({"a": entry(shape=[])}, "tensor a"),
        ({"a": entry(dtype="F64")}, "tensor a"),
        ({"a": entry(offsets=[0])}, "tensor a"),
        ({"a": entry(offsets=[0, 4, 8])}, "tensor a"),
        ({"a": entry(offsets=[0.0, 8.0])}, "tensor a"),
        ({"a": entry(offsets=[False, 8])}, "tensor a"),
        ({"a": entry(offsets=[8, 0])}, "tensor a"),
        ({"a": entry(offsets=[-8, 0])}, "tensor a"),
        ({"a": entry(offsets={"0": 0, "8": 8})}, "tensor a"),
        ({"a": entry([1], [4, 8])}, "tensor a"),
        ({"a": entry(), "b": entry()}, "tensor b"),
        ({"a": entry([1], [0, 4]), "b": entry([1], [2, 6])}, "tensor b"),
    ],
)
def test_an_inconsistent_header_is_refused(tmp_path: Path, header: object, problem: str) -> None:
    file = write(tmp_path, header, bytes(8))
    refused(tmp_path, f"{file} has a damaged header: {problem}")


def test_a_huge_offset_is_refused(tmp_path: Path) -> None:
    end = 10**400
    file = write(tmp_path, {"a": entry([end // 4], [0, end])})
    size = file.stat().st_size
    problem = f"{file} is truncated: {size} bytes, but the tensor a ends at {size + end}"
    refused(tmp_path, condensed(problem))


def test_a_deeply_nested_header_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, b"[" * 200_000)
    with pytest.raises(AttnError) as caught:
        open_weights(tmp_path)
    assert caught.value.problem.startswith(f"{file} has a damaged header: ")  # the rest is Python's


def test_bytes_that_no_tensor_claims_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, {"a": entry()}, bytes(9))
    size = file.stat().st_size
    refused(tmp_path, f"{file} has a damaged header: its tensors end at {size - 1}, the file at {size}")


def shards(directory: Path, listed: object, **files: npt.NDArray[Any]) -> Path:
    """A checkpoint in shards with one tensor each, `a=...` in `a.safetensors`, and the index."""
    for name, tensor in files.items():
        safetensors.numpy.save_file({name: tensor}, directory / f"{name}.safetensors")
    index = directory / "model.safetensors.index.json"
    index.write_text(listed if isinstance(listed, str) else json.dumps(listed))
    return index


def test_shards_are_read_as_one(tmp_path: Path) -> None:
    shards(tmp_path, {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}, a=SIX, b=FOUR)
    weights = open_weights(tmp_path)
    np.testing.assert_array_equal(weights.read("a", (2, 3)), SIX)
    np.testing.assert_array_equal(weights.read("b", (4,)), FOUR)


def test_a_single_file_takes_precedence_over_shards(tmp_path: Path) -> None:
    shards(tmp_path, "not even JSON")
    saved(tmp_path, a=SIX)
    np.testing.assert_array_equal(open_weights(tmp_path).read("a", (2, 3)), SIX)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    shards(tmp_path, {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}, a=SIX)
    problem = f"{tmp_path} lacks 1 of 2 shards: b.safetensors is missing"
    refused(tmp_path, problem, "download the missing files, or the model again")


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path) -> None:
    shards(tmp_path, {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}, a=SIX)
    safetensors.numpy.save_file({"a": SIX}, tmp_path / "b.safetensors")
    both = f"{tmp_path}/a.safetensors and {tmp_path}/b.safetensors"
    refused(tmp_path, f"the tensor a is in two files: {both}")


@pytest.mark.parametrize(
    "name",
    ["../a.safetensors", "/etc/a.safetensors", "x/a.safetensors", "a.bin", "a.safetensors\n", "", "a\0"],
)
def test_an_index_reaches_no_file_outside_its_directory(tmp_path: Path, name: str) -> None:
    index = shards(tmp_path, {"weight_map": {"a": name}})
    refused(tmp_path, f"{index} lists a file outside its directory: {name!r}")


@pytest.mark.parametrize("listed", [{}, {"weight_map": {}}, {"weight_map": ["a"]}, {"weight_map": None}])
def test_an_index_without_a_map_says_so(tmp_path: Path, listed: object) -> None:
    index = shards(tmp_path, listed)
    refused(tmp_path, f"{index} has no weight_map")


def test_an_index_that_is_not_json_says_so(tmp_path: Path) -> None:
    index = shards(tmp_path, "{")
    problem = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    refused(tmp_path, f"{index} is not JSON: {problem}", "download the model again, or repair the file")


WHOLE = safetensors.numpy.save({"six": SIX, "four": FOUR, "half": FOUR[:3].astype(np.float16)})
HEADER = 8 + int.from_bytes(WHOLE[:8], "little")
MUTATE = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


def is_right_or_refused(directory: Path, content: bytes) -> bool:
    """Whether the tensors were read, and correctly; any error but `AttnError` is a failure."""
    (directory / "model.safetensors").write_bytes(content)
    try:
        weights = open_weights(directory)
        six, four = weights.read("six", (2, 3)), weights.rows("four", (4, 1), [3])
    except AttnError:
        return False
    np.testing.assert_array_equal(six, SIX)
    np.testing.assert_array_equal(four, FOUR[3:, None])
    return True


@MUTATE
@given(kept=st.integers(0, len(WHOLE) - 1))
def test_a_file_truncated_anywhere_is_refused(tmp_path: Path, kept: int) -> None:
    (tmp_path / "model.safetensors").write_bytes(WHOLE[:kept])
    with pytest.raises(AttnError):
        open_weights(tmp_path)


@MUTATE
@given(place=st.integers(0, HEADER - 1), byte=st.integers(0, 255))
def test_a_changed_byte_of_the_header_changes_no_number(tmp_path: Path, place: int, byte: int) -> None:
    is_right_or_refused(tmp_path, WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])


@MUTATE
@given(place=st.integers(0, HEADER), extra=st.binary(min_size=1, max_size=20), removed=st.integers(0, 20))
def test_a_spliced_header_is_read_or_refused(tmp_path: Path, place: int, extra: bytes, removed: int) -> None:
    header = WHOLE[8:place] + extra + WHOLE[max(8, place) + removed : HEADER]
    write(tmp_path, header, WHOLE[HEADER:])
    try:
        found = open_weights(tmp_path).read("six", (2, 3))
    except AttnError:
        return
    assert found.shape == (2, 3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@MUTATE
@given(
    header=JSON
    | st.dictionaries(
        st.sampled_from(["six", "__metadata__"]),
        st.fixed_dictionaries({"dtype": JSON | st.just("F32"), "shape": JSON, "data_offsets": JSON}),
    )
)
def test_any_json_as_the_header_is_read_or_refused(tmp_path: Path, header: Any) -> None:
    write(tmp_path, header, SIX.tobytes())
    tracemalloc.start()
    try:
        open_weights(tmp_path).read("six", (2, 3))
    except AttnError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2**20  # the file has some hundred bytes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("length", "problem"),
    [(10**7, "has a damaged header"), (10**7 + 1, "has a header that is too large: 10 MB")],
)
def test_a_header_has_at_most_10_megabytes(length: int, problem: str, tmp_path: Path) -> None:
    file = write(tmp_path, b"?", length=length)
    os.truncate(file, 8 + 10**7 + 1)  # zeros that take no room on the disk
    with pytest.raises(AttnError) as caught:
        open_weights(tmp_path)
    assert caught.value.problem.startswith(f"{file} {problem}")
