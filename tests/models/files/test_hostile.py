"""Malicious checkpoints: a clear error, no access to other files, no excessive memory."""

import json
import os
import shutil
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import LARGEST_CONFIG, LARGEST_TEXT
from attn_cli.models.open import open_checkpoint
from tests.support.reference import NUMPY, every_weight_of
from tests.support.twins import RECIPES

FAMILIES = ("bert", "gpt2", "llama")
FILES = ("config.json", "tokenizer.json", "model.safetensors", "attn.json")
COPY = "replace the link with a copy of the file, if you trust it"


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("twins")
    for name in FAMILIES:
        RECIPES[name].save(directory / name)
    (directory / "gpt2" / "attn.json").write_text('{"heads": []}')
    return directory


@pytest.fixture
def model(twins: Path, tmp_path: Path) -> Path:
    """A GPT-2 for one test."""
    return Path(shutil.copytree(twins / "gpt2", tmp_path / "model"))


@np.errstate(all="ignore")  # numbers that are not finite are the pipeline's to refuse
def read_all(directory: Path) -> int:
    """Read everything that a command would read; returns the number of layers."""
    found = open_checkpoint("m", directory, NUMPY)
    found.tokens("the cat sat", None)
    found.check()
    found.head_labels()
    return len(every_weight_of(found, "the cat sat"))


@contextmanager
def memory_under(most: int) -> Iterator[None]:
    """Assert that Python and NumPy allocate fewer bytes than this inside the block."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def refused(directory: Path) -> tuple[str, str]:
    with pytest.raises(AttnError) as caught:
        read_all(directory)
    return caught.value.problem, caught.value.hint


@pytest.mark.parametrize("name", FILES)
def test_a_link_out_of_the_checkpoint_is_not_followed(model: Path, tmp_path: Path, name: str) -> None:
    outside = (model / name).rename(tmp_path / "outside")
    (model / name).symlink_to("../outside")
    problem = f"{model / name} is a link that points outside the checkpoint: to {outside}"
    assert refused(model) == (problem, COPY)


def test_a_shard_that_is_a_link_out_of_the_checkpoint_is_not_followed(model: Path, tmp_path: Path) -> None:
    outside = (model / "model.safetensors").rename(tmp_path / "outside")
    (model / "a.safetensors").symlink_to(outside)
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"a": "a.safetensors"}}')
    problem = f"{model}/a.safetensors is a link that points outside the checkpoint: to {outside}"
    assert refused(model) == (problem, COPY)


def test_a_link_inside_the_checkpoint_is_followed(model: Path) -> None:
    (model / "model.safetensors").rename(model / "weights")
    (model / "model.safetensors").symlink_to("weights")
    assert read_all(model) == 3


def test_a_checkpoint_may_itself_be_a_link(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(model)
    assert read_all(tmp_path / "link") == 3


@pytest.mark.parametrize("blobs", ["models--a--b/blobs", "blobs/ab"])
def test_a_snapshot_in_the_cache_links_to_its_blobs_or_to_those_of_all(
    model: Path, tmp_path: Path, blobs: str
) -> None:
    folder = tmp_path / "hub" / blobs
    shutil.copytree(model, folder)
    snapshot = tmp_path / "hub" / "models--a--b" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    for file in folder.iterdir():
        (snapshot / file.name).symlink_to(os.path.relpath(file, snapshot))
    assert read_all(snapshot) == 3


def test_a_snapshot_in_the_cache_may_not_link_to_other_blobs(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "hub" / "models--other" / "blobs"
    shutil.copytree(model, other)
    snapshot = Path(shutil.copytree(model, tmp_path / "hub" / "models--a--b" / "snapshots" / "1"))
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(other / "config.json")
    problem = f"{snapshot}/config.json is a link that points outside the checkpoint: to {other}/config.json"
    assert refused(snapshot) == (problem, COPY)


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_instead_of_a_file_is_not_waited_for(model: Path, name: str) -> None:
    (model / name).unlink()
    os.mkfifo(model / name)
    assert refused(model) == (f"{model / name} is not a regular file", "replace it with a regular file")


@pytest.mark.parametrize(
    ("name", "most"),
    [("config.json", LARGEST_CONFIG), ("tokenizer.json", LARGEST_TEXT), ("attn.json", LARGEST_TEXT)],
)
def test_a_file_that_would_fill_the_memory_is_not_parsed(model: Path, name: str, most: int) -> None:
    with (model / name).open("r+b") as file:
        file.truncate(most + 1)  # the disk holds a page of it
    size = most // 10**6
    problem = f"{model / name} is too large: {size} MB, and the limit is {size} MB"
    assert refused(model) == (problem, "download the file again")


NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 7, 31, 64, 10**6, 10**9, 2**31, 2**63, 10**18, 10**400])
VALUES = NUMBERS | st.sampled_from([None, True, "", "x", [], [1], {}, {"a": 1}, 0.0, -0.5, 1e-300, 1e308])


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_config_with_absurd_values_is_read_or_refused(
    twins: Path, tmp_path: Path, data: st.DataObject, family: str
) -> None:
    directory = tmp_path / family
    if not directory.exists():
        shutil.copytree(twins / family, directory)
    config = json.loads((twins / family / "config.json").read_text())
    names = sorted(config.keys() | {"head_dim", "rope_scaling", "num_key_value_heads", "n_inner"})
    changes = data.draw(st.dictionaries(st.sampled_from(names), VALUES, min_size=1, max_size=2))
    (directory / "config.json").write_text(json.dumps(config | changes))
    with memory_under(2**24), suppress(AttnError):  # the weights have 200 KB
        read_all(directory)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_text_file_is_read_or_refused(model: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["config.json", "tokenizer.json", "attn.json"]))
    whole = (model / name).read_bytes()
    mutated = bytearray(whole)
    start = data.draw(st.integers(0, len(whole)))
    mutated[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    (model / name).write_bytes(mutated[: data.draw(st.sampled_from([len(mutated), start]))])
    with suppress(AttnError):
        read_all(model)
    (model / name).write_bytes(whole)
