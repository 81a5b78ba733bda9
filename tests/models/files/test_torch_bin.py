"""Reads PyTorch's `.bin` files: the same numbers as safetensors, and no code of a pickle runs."""

import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from attn_cli.errors import AttnError
from attn_cli.models.files.weights import open_file, open_weights
from attn_cli.models.open import open_checkpoint
from tests.support.reference import NUMPY, every_weight_of
from tests.support.twins import TEXTS, Save

SIX = torch.arange(6.0).reshape(2, 3)
AGAIN = "download the file again"
OTHERWISE = "use a checkpoint with model.safetensors, or ask its author for one"


def save(directory: Path, content: Any = None, **how: Any) -> Path:
    """Save the content, or one tensor, as PyTorch does."""
    file = directory / "pytorch_model.bin"
    torch.save({"six": SIX} if content is None else content, file, **how)
    return file


def refused(directory: Path, problem: str, hint: str) -> None:
    with pytest.raises(AttnError) as caught:
        open_weights(directory)
    assert (caught.value.problem, caught.value.hint) == (problem, hint)


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_numbers_come_back_as_they_were_written(
    tmp_path: Path, dtype: torch.dtype, *, is_archive: bool
) -> None:
    save(tmp_path, {"six": SIX.to(dtype)}, _use_new_zipfile_serialization=is_archive)
    weights = open_weights(tmp_path)
    found = weights.read("six", (2, 3))
    assert found.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    np.testing.assert_array_equal(found, SIX)
    np.testing.assert_array_equal(weights.rows("six", (2, 3), [1, 0, 1]), SIX[[1, 0, 1]])


def test_parameters_and_views_are_tensors_too(tmp_path: Path) -> None:
    state = OrderedDict(p=torch.nn.Parameter(SIX), t=SIX.T, row=SIX[1], whole=torch.tensor([1]), other=3)
    save(tmp_path, state)
    weights = open_weights(tmp_path)
    np.testing.assert_array_equal(weights.read("p", (2, 3)), SIX)
    np.testing.assert_array_equal(weights.read("t", (3, 2)), SIX.T)
    np.testing.assert_array_equal(weights.read("row", (3,)), SIX[1])
    with pytest.raises(AttnError, match=r"^the tensor whole in .* has an unsupported type: int64$"):
        weights.read("whole", (1,))


@pytest.mark.parametrize("shard", ["10GB", "20KB"])
def test_a_pickled_checkpoint_computes_what_its_twin_does(save: Save, tmp_path: Path, shard: str) -> None:
    twin = save("llama", max_shard_size=shard)
    for file in ("config.json", "tokenizer.json"):
        (tmp_path / file).write_bytes((twin / file).read_bytes())
    rename(twin, tmp_path)
    pickled, safe = (open_checkpoint("twin", each, NUMPY) for each in (tmp_path, twin))
    for ours, theirs in zip(every_weight_of(pickled, TEXTS[0]), every_weight_of(safe, TEXTS[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def rename(twin: Path, directory: Path) -> None:
    """Convert the twin's safetensors files to `.bin` files, with an index if there are several."""
    for file in twin.glob("*.safetensors"):
        name = file.name.replace("model", "pytorch_model", 1).replace(".safetensors", ".bin")
        torch.save(load_file(file), directory / name)
    index = twin / "model.safetensors.index.json"
    if index.exists():
        text = index.read_text().replace(".safetensors", ".bin").replace("model-", "pytorch_model-")
        (directory / "pytorch_model.bin.index.json").write_text(text)


def test_safetensors_take_precedence_over_pickles(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "model.safetensors").touch()
    refused(tmp_path, f"{tmp_path}/model.safetensors is empty", AGAIN)


class Hostile:
    """A pickle that would create a file when it is loaded."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments


@pytest.mark.parametrize("is_archive", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(
    tmp_path: Path, *, is_archive: bool
) -> None:
    trap = tmp_path / "trap"
    content = {"six": SIX, "evil": Hostile(open, str(trap), "w")}
    file = save(tmp_path, content, _use_new_zipfile_serialization=is_archive)
    refused(tmp_path, f"{file} is refused: it is a pickle that would run io.open", OTHERWISE)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"cos\nsystem\n(S'touch trap'\ntR.", "os.system"),
        (b"(S'touch trap'\nios\nsystem\n.", "os.system"),
        (pickle.dumps(Hostile(print, 1), 4), "code under a name assembled at run time"),
        (b"\x82\x01.", "code under a name assembled at run time"),
    ],
)
def test_code_is_named_in_every_encoding_of_a_pickle(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "pytorch_model.bin"
    file.write_bytes(content)
    refused(tmp_path, f"{file} is refused: it is a pickle that would run {code}", OTHERWISE)


@pytest.mark.parametrize("call", [bytearray, torch.Tensor, torch.FloatTensor])
def test_a_pickle_that_would_only_take_memory_is_refused_too(tmp_path: Path, call: Any) -> None:
    file = save(tmp_path, {"six": Hostile(call, 10**11)})
    with pytest.raises(AttnError, match="is refused: it is a pickle that would run"):
        open_weights(tmp_path)
    assert file.exists()


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**6))
    refused(tmp_path, f"{file} is damaged: its archive is compressed", AGAIN)


def test_a_pickle_of_anything_but_tensors_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path, [SIX])
    refused(tmp_path, f"{file} contains a list, not a dict of tensors", OTHERWISE)


def test_a_tensor_larger_than_its_data_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path, {"six": SIX[0, 0].expand(10**6, 10**6)})
    refused(tmp_path, f"{file} is damaged: the tensor six is larger than its storage", AGAIN)


def test_tensors_without_plain_numbers_are_not_read(tmp_path: Path) -> None:
    save(tmp_path, {"meta": torch.empty(10**9, device="meta")})
    with pytest.raises(AttnError, match="is refused: it is a pickle that would run"):
        open_weights(tmp_path)


def test_an_empty_pickle_says_so(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    refused(tmp_path, f"{tmp_path}/pytorch_model.bin is empty", AGAIN)


def test_an_index_of_pickles_may_list_only_pickles(tmp_path: Path) -> None:
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "a.safetensors"}}))
    refused(tmp_path, f"{index} lists a file outside its directory: 'a.safetensors'", AGAIN)


def written(**how: Any) -> bytes:
    """A file as bytes."""
    buffer = io.BytesIO()
    torch.save({"six": SIX, "half": SIX[0].half()}, buffer, **how)
    return buffer.getvalue()


WHOLE = (written(), written(_use_new_zipfile_serialization=False))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(WHOLE)))
    start = data.draw(st.integers(0, len(content)))
    content[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    (tmp_path / "pytorch_model.bin").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    tracemalloc.start()
    try:
        assert open_weights(tmp_path).read("six", (2, 3)).shape == (2, 3)
    except AttnError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2**22  # the file has 2 KiB; hypothesis and PyTorch take the rest


def test_a_damaged_escape_sequence_gives_no_warning(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"c\\K\nOrderedDict\n.")
    with pytest.raises(AttnError):
        open_weights(tmp_path)


@pytest.mark.parametrize("before", range(5))
def test_all_five_pickles_of_an_older_file_are_checked(before: int, tmp_path: Path) -> None:
    """Magic number, version, system, tensors, their order (`torch/serialization.py`, `_legacy_save`)."""
    trap = tmp_path / "trap"
    file = tmp_path / "pytorch_model.bin"
    pickles = [*[pickle.dumps(0, 2)] * before, pickle.dumps(Hostile(open, str(trap), "w"), 2)]
    file.write_bytes(b"".join(pickles))
    refused(tmp_path, f"{file} is refused: it is a pickle that would run io.open", OTHERWISE)
    assert not trap.exists()


def repacked(file: Path, pickled: bytes, name: str = "data.pkl") -> Path:
    """The archive with another pickle, or with one under another name."""
    with zipfile.ZipFile(file) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(file, "w") as archive:
        for member, content in members.items():
            is_pickle = member.endswith("data.pkl")
            archive.writestr(
                member.replace("data.pkl", name) if is_pickle else member,
                pickled if is_pickle and pickled else content,
            )
    return file


LISTS = b"\x80\x02" + b"]" * 90_000 + b"a" * 89_999 + b"."
DICTS = b"\x80\x02" + b"}K\x00" * 30_000 + b"N" + b"s" * 30_000 + b"."
NOTHING = b"\x80\x02" + b"N0" * 300_000 + b"}."
TEXT = b"\x80\x02X" + struct.pack("<I", 2**24 + 1) + b"a" * (2**24 + 1) + b"0}."


@pytest.mark.parametrize("content", [LISTS, DICTS, NOTHING, TEXT], ids=["lists", "dicts", "nothing", "text"])
@pytest.mark.parametrize("is_archive", [True, False])
def test_a_pickle_that_is_longer_than_one_of_tensors_is_refused_soon(
    content: bytes, tmp_path: Path, *, is_archive: bool
) -> None:
    file = save(tmp_path)
    if is_archive:
        repacked(file, content)
    else:
        file.write_bytes(content.removesuffix(b".") * (1 if content is TEXT else 5))
    tracemalloc.start()
    refused(tmp_path, f"{file} is damaged: its pickle is longer than one of tensors", AGAIN)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25


def test_a_line_of_a_pickle_ends(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    file.write_bytes(b"V" + b"a" * 2**17)
    refused(tmp_path, f"{file} is damaged: a line of its pickle does not end", AGAIN)


@pytest.mark.parametrize("name", ["DATA.PKL", "Data.pkl"])
def test_a_pickle_is_checked_under_every_name_by_which_pytorch_finds_it(name: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    file = repacked(save(tmp_path, {"evil": Hostile(open, str(trap), "w")}), b"", name)
    refused(tmp_path, f"{file} is refused: it is a pickle that would run io.open", OTHERWISE)
    assert not trap.exists()


def with_sizes(file: Path, member: bytes, size: int) -> None:
    """Change the size of a member in the list at the end of the archive."""
    content = bytearray(file.read_bytes())
    entry = content.rfind(b"PK\x01\x02", 0, content.rfind(member))
    content[entry + 20 : entry + 28] = struct.pack("<II", size, size)
    file.write_bytes(content)


@pytest.mark.parametrize("size", [2**32 - 2, 10**6])
def test_members_that_are_larger_than_their_archive_are_refused(size: int, tmp_path: Path) -> None:
    file = save(tmp_path)
    with_sizes(file, b"/data/0", size)
    refused(tmp_path, f"{file} is damaged: the members of its archive are larger than the file", AGAIN)


@pytest.mark.parametrize("size", [2**24 + 1, 2**32 - 2])
def test_an_archive_of_too_many_members_is_refused_before_they_are_listed(size: int, tmp_path: Path) -> None:
    file = save(tmp_path)
    content = bytearray(file.read_bytes())
    end = content.rfind(b"PK\5\6")
    content[end + 12 : end + 16] = struct.pack("<I", size)
    file.write_bytes(content)
    refused(tmp_path, f"{file} is damaged: its archive has too many members", AGAIN)


def test_the_size_of_the_list_in_a_large_archive_is_read_from_its_own_record(tmp_path: Path) -> None:
    file = save(tmp_path)
    content = file.read_bytes()
    end = content.rfind(b"PK\5\6")
    record = b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 1, 1, 2**40, 0)
    locator = b"PK\6\7" + struct.pack("<LQL", 0, end, 1)
    last = content[end : end + 12] + struct.pack("<II", 2**32 - 1, 2**32 - 1) + content[end + 20 :]
    file.write_bytes(content[:end] + record + locator + last)
    refused(tmp_path, f"{file} is damaged: its archive has too many members", AGAIN)


@pytest.mark.parametrize("count", [1, 300, 3000])
def test_as_many_tensors_as_a_model_has_are_read(count: int, tmp_path: Path) -> None:
    save(tmp_path, {f"layer.{number}.weight": torch.full((1, 1), number) for number in range(count)})
    assert len(open_weights(tmp_path).tensors) == count


def test_what_pytorch_advises_does_not_reach_the_user(tmp_path: Path) -> None:
    file = repacked(save(tmp_path), b"\x80\x02K\x01K\x02\x95.")
    with pytest.raises(AttnError) as caught:
        open_weights(tmp_path)
    assert caught.value.problem.startswith(f"{file} is damaged: ")
    assert "weights_only" not in caught.value.problem


@pytest.mark.parametrize("name", ["adapter_model.bin", "pytorch_model-1-of-1.bin"])
def test_the_pickle_of_an_adapter_is_bounded_too(name: str, tmp_path: Path) -> None:
    file = save(tmp_path).rename(tmp_path / name)
    repacked(file, NOTHING)
    with pytest.raises(AttnError, match="its pickle is longer than one of tensors"):
        open_file(file)
