"""The results of probes between runs: never used for other weights, and never a failure."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from attn_cli.models.open import open_source
from attn_cli.models.source import Source, SourceRequest
from attn_cli.reading import probe_store
from attn_cli.reading.known_patterns import find_known_patterns
from attn_cli.reading.probe_store import StoredProbe, read_probe, store_directory, write_probe
from attn_cli.shares import PatternShare
from attn_cli.vocabulary import Kind, Pattern
from tests.support.adapters import low_rank, pair, save_adapter

SHARES = {(layer, head): () for layer in range(3) for head in range(4)}
INDUCTION = (PatternShare(Pattern.INDUCTION, 0.75, 224), PatternShare(Pattern.FIRST, 0.25, 224))
PROBE = StoredProbe("2026-11-28", (0, 1), (62, 58), SHARES | {(2, 1): INDUCTION})


@pytest.fixture
def model(twins: Path, tmp_path: Path) -> Path:
    """A copy of a twin that a test may change."""
    return shutil.copytree(twins / "gpt2", tmp_path / "model")


@pytest.fixture
def world(tmp_path: Path) -> dict[str, str]:
    return {"ATTN_CACHE": str(tmp_path / "cache")}


def source(model: Path, **request: Any) -> Source:
    return open_source(SourceRequest(str(model), **request), {})


def stored(model: Path, world: dict[str, str]) -> Path:
    """The file of the probe, after it was stored for the model."""
    path = write_probe(PROBE, source(model), Kind.SELF, world)
    assert path is not None
    return path


def found(model: Path, world: dict[str, str], kind: Kind = Kind.SELF, **request: Any) -> StoredProbe | None:
    return read_probe(source(model, **request), kind, world)


def test_what_was_stored_is_found_again(model: Path, world: dict[str, str]) -> None:
    path = stored(model, world)
    assert found(model, world) == PROBE
    assert [path] == list((Path(world["ATTN_CACHE"]) / "probes").iterdir())  # nothing else is left


def test_device_and_number_format_are_the_same_heads(model: Path, world: dict[str, str]) -> None:
    stored(model, world)
    assert found(model, world, device="cpu", seed=3) == PROBE


@pytest.mark.parametrize("change", ["weights", "config.json", "tokenizer.json", "added"])
def test_it_is_not_used_once_a_file_has_changed(change: str, model: Path, world: dict[str, str]) -> None:
    stored(model, world)
    if change == "added":  # an adapter, for example
        (model / "adapter_config.json").write_text("{}")
    else:
        path = model / ("model.safetensors" if change == "weights" else change)
        state, content = path.stat(), bytearray(path.read_bytes())
        if change == "weights":
            content[-1] ^= 1  # the same size
        else:
            content += b" "
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # and the same time of change
    assert found(model, world) is None


def test_a_model_with_an_adapter_has_a_probe_of_its_own(
    model: Path, world: dict[str, str], tmp_path: Path
) -> None:
    matrices = low_rank("transformer.h.0.attn.c_attn", *pair(96, 32))
    adapter = save_adapter(tmp_path / "adapter", model, matrices, fan_in_fan_out=True)
    stored(model, world)
    assert found(adapter, world) is None
    stored(adapter, world)
    assert found(adapter, world) == PROBE
    assert found(adapter, world, adapter=False) is None
    save_adapter(adapter, model, {name: 2 * each for name, each in matrices.items()}, fan_in_fan_out=True)
    assert found(adapter, world) is None


def test_the_card_of_a_model_does_not_name_heads_that_an_adapter_changed(model: Path, tmp_path: Path) -> None:
    head = {"layer": 2, "head": 1, "pattern": "induction", "score": 0.9}
    (model / "attn.json").write_text(json.dumps({"heads": [head]}))
    adapter = save_adapter(
        tmp_path / "adapter",
        model,
        low_rank("transformer.h.0.attn.c_attn", *pair(96, 32)),
        fan_in_fan_out=True,
    )
    known = find_known_patterns(source(model), Kind.SELF, {})
    assert known is not None
    assert known.shares == {(2, 1): (PatternShare(Pattern.INDUCTION, 0.9, None),)}
    assert find_known_patterns(source(adapter), Kind.SELF, {}) is None


def test_it_is_not_used_for_another_mask_or_version(
    model: Path, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(model, world)
    assert found(model, world, is_causal=False) is None
    monkeypatch.setattr(probe_store, "__version__", "99")
    assert found(model, world) is None


def test_it_is_not_used_for_other_weights_with_the_same_checksum(model: Path, world: dict[str, str]) -> None:
    path = stored(model, world)
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"identity": document["identity"] + " "}))
    assert found(model, world) is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        "[" * 100_000,
        '{"date": "x", "seeds": [], "lengths": [], "heads": []}',  # not the heads of the model
        json.dumps({"date": "x", "seeds": [], "lengths": [], "heads": [{"layer": 0, "head": 0}]}),
    ],
)
def test_a_damaged_file_is_ignored(content: str, model: Path, world: dict[str, str]) -> None:
    path = stored(model, world)
    identity = json.dumps({"identity": json.loads(path.read_text())["identity"]})
    path.write_text(content.replace('{"date"', f'{identity.removesuffix("}")}, "date"'))
    assert found(model, world) is None


@pytest.mark.parametrize(
    "wrong", [{"share": 1.5}, {"share": "x"}, {"rows": 0}, {"name": "dancing"}, {"share": float("nan")}]
)
def test_a_share_that_is_none_is_ignored(wrong: dict[str, Any], model: Path, world: dict[str, str]) -> None:
    path = stored(model, world)
    document = json.loads(path.read_text())
    head = next(head for head in document["heads"] if head["patterns"])
    head["patterns"][0] |= wrong
    path.write_text(json.dumps(document))
    assert found(model, world) is None


def test_a_probe_that_cannot_be_stored_is_lost(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert write_probe(PROBE, source(model), Kind.SELF, {"ATTN_CACHE": str(tmp_path / "file")}) is None
    assert found(model, {"ATTN_CACHE": str(tmp_path / "file")}) is None


def test_a_model_without_files_has_no_probe(tmp_path: Path) -> None:
    random = open_source(SourceRequest("random"), {})
    assert write_probe(PROBE, random, Kind.SELF, {"ATTN_CACHE": str(tmp_path)}) is None


def test_no_file_of_the_model_is_looked_at_before_anything_was_stored(
    model: Path, world: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(probe_store, "_path", fail)
    assert found(model, world) is None


@pytest.mark.parametrize(
    ("environment", "platform", "directory"),
    [
        ({"ATTN_CACHE": "/a", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "linux", "/a/probes"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "linux", "/x/attn/probes"),
        ({"HOME": "/h"}, "linux", "/h/.cache/attn/probes"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Caches/attn/probes"),
        ({"LOCALAPPDATA": "/l", "HOME": "/h"}, "win32", "/l/attn/probes"),
        ({"ATTN_CACHE": "", "HOME": "/h"}, "linux", None),
        ({}, "linux", None),
    ],
)
def test_the_store_is_where_the_platform_keeps_caches(
    environment: dict[str, str], platform: str, directory: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert store_directory(environment) == (None if directory is None else Path(directory))
