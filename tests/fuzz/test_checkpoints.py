"""Mutated small checkpoints end with a result, or with two lines: no other exception, time or memory.

150 examples run, the same ones each time; `ATTN_FUZZ=5000` runs so many, with new seeds.
"""

import json
import os
import shutil
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.models.gguf.test_gguf import written
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.twins import RECIPES
from tests.support.worlds import attn

EXAMPLES = int(os.environ.get("ATTN_FUZZ", "150"))
LONGEST = 20.0  # seconds, on a busy machine; the bounds are meant for a tenth of it
ODD: list[Any] = [
    *(0, 1, 2, -1, 7, 10**9, 2**63 - 1, 10**30, 1e308, float("nan"), 0.5, True, False, None, "x", "1"),
    *([], [1], [[]], {}, {"a": [1]}, [10**9] * 3, "y" * 5000),
]
KINDS = ("gpt2", "llama", "albert", "gpt_neo", "bart", "t5", "deberta-v2", "modernbert")
FORMATS = ("safetensors", "bin", "gguf")

values = st.sampled_from(ODD)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A twin of each of some families, one with a pickle, and one as a GGUF file."""
    directory = tmp_path_factory.mktemp("fuzz")
    recipes = {**RECIPES, **FAMILIES, **TRANSLATORS}
    for name in KINDS:
        recipes[name].save(directory / name)
    shutil.copytree(directory / "gpt2", directory / "bin")
    _as_pickle(directory / "bin")
    shutil.copytree(directory / "llama", directory / "gguf")
    written(directory / "gguf")
    return directory


def _as_pickle(directory: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(directory / "model.safetensors"), directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()


def ended(directory: Path, model: Path) -> None:
    """Run `attn inspect` on the model, and check how it ends."""
    has_target = json_of(directory / "config.json").get("is_encoder_decoder") is True
    target = ("--target", "the mat", "--kind", "cross") if has_target else ()
    began = time.monotonic()
    answer = attn("inspect", "the cat", "-m", model, "-l", "0", "-H", "0", *target)
    assert time.monotonic() - began < LONGEST
    assert answer.status in {0, 1, 2}, answer.err
    assert "internal error" not in answer.err
    if answer.status:
        lines = answer.err.splitlines()
        assert [line.partition(":")[0] for line in lines[-2:]] == ["attn", "try"], answer.err


def json_of(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "model"


def copied(source: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(source, place))


def fuzzed(share: float) -> settings:
    return settings(
        max_examples=max(1, int(EXAMPLES * share)),
        derandomize="ATTN_FUZZ" not in os.environ,
        database=None,
        suppress_health_check=[*HealthCheck],
    )


@given(data=st.data())
@fuzzed(0.4)
def test_any_values_in_a_config(checkpoints: Path, place: Path, data: st.DataObject) -> None:
    directory = copied(checkpoints / data.draw(st.sampled_from(KINDS)), place)
    path = directory / "config.json"
    config = json_of(path)
    names = sorted(config.keys() - {"model_type"})  # another type is read by transformers: seconds
    path.write_text(json.dumps({**config, **data.draw(_changes(names))}))
    ended(directory, directory)


def _changes(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3)


def _mutated(content: bytes, data: st.DataObject, most: int) -> bytes:
    """The content with some bytes of its first `most` changed, removed or added, or cut off."""
    found = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, min(most, len(found)) - 1)))
        how = data.draw(st.sampled_from(["flip", "number", "cut", "drop", "add"]))
        if how == "flip" and found:
            found[at] = data.draw(st.integers(0, 255))
        elif how == "number":
            number = data.draw(st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1]))
            found[at : at + 8] = struct.pack("<Q", number)
        elif how == "cut":
            del found[at:]
        elif how == "drop":
            del found[at : at + 8]
        else:
            found[at:at] = bytes(8)
    return bytes(found)


@given(data=st.data())
@fuzzed(0.4)
def test_any_bytes_in_weights(checkpoints: Path, place: Path, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(FORMATS))
    directory = copied(checkpoints / ("gpt2" if kind == "safetensors" else kind), place)
    (file,) = directory.glob(f"*.{kind}") if kind != "bin" else directory.glob("pytorch_model.bin")
    file.write_bytes(_mutated(file.read_bytes(), data, data.draw(st.sampled_from([64, 4096, 1 << 20]))))
    ended(directory, file if kind == "gguf" else directory)


@given(data=st.data())
@fuzzed(0.2)
def test_any_header_of_safetensors(checkpoints: Path, place: Path, data: st.DataObject) -> None:
    directory = copied(checkpoints / "gpt2", place)
    path = directory / "model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = data.draw(st.sampled_from(sorted(header)))
    field = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", None]))
    entry = header[name] if isinstance(header[name], dict) else {}
    header[name] = data.draw(values) if field is None else {**entry, field: data.draw(values)}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    ended(directory, directory)
