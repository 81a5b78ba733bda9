"""What is damaged in the cache does not stay there: the next run asks the hub for it again."""

import hashlib
import json
from pathlib import Path

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.files.weights import FORMATS, shard_names
from attn_cli.models.hub.blobs import is_what_the_hub_has
from tests.support.hub_place import WEIGHTS, Place
from tests.support.local_hub import Hub
from tests.support.worlds import Answer, attn

pytestmark = pytest.mark.usefixtures("online")

AGAIN = "run the command again, which asks the hub for the file again"
TOKENIZER = Path(__file__).parents[3] / "attn_cli" / "models" / "embedded"


def real(hub: Hub) -> None:
    """Put a model on the hub that can be read."""
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        hub.files[file] = (TOKENIZER / file).read_bytes()


def inspected(place: Place, *more: str, **environment: str) -> Answer:
    return attn(
        "inspect",
        "the cat",
        "-m",
        "org/small",
        "-q",
        *more,
        HF_HUB_OFFLINE="0",
        **place.environment,
        **environment,
    )


def blob(place: Place, file: str) -> Path:
    return (place.snapshot / file).resolve()


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 1000, b"<html>"])
@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_file_that_was_damaged_in_the_cache_is_downloaded_again(
    file: str, content: bytes, place: Place, hub: Hub
) -> None:
    real(hub)
    whole = inspected(place)
    assert whole.status == 0
    damaged = blob(place, file)
    damaged.write_bytes(content)
    answers = [inspected(place) for _ in range(3)]
    assert answers[-1] == whole
    assert damaged.read_bytes() == hub.files[file]
    assert {answer.status for answer in answers[:-1]} <= {0, 1}
    assert answers[0].err == "" or answers[0].err.splitlines()[1] == f"try: {AGAIN}"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"model_type": 3}'])
def test_a_model_that_is_damaged_on_the_hub_is_whole_once_it_is_there(
    content: bytes, place: Place, hub: Hub
) -> None:
    real(hub)
    good, hub.files["config.json"] = hub.files["config.json"], content
    assert inspected(place).status == 1
    assert inspected(place).status == 1
    hub.files["config.json"] = good
    assert {inspected(place).status, inspected(place).status} <= {0, 1}
    assert inspected(place).status == 0


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("generation_config.json", b'{"repetition_penalty": -1}'),
        ("model.safetensors", b"Internal server error"),
        ("tokenizer.json", b'{"version": "1.0", "model": {"type": "BPE", "vocab": 3}}'),
        ("tokenizer_config.json", b'{"chat_template": 3}'),
    ],
)
def test_what_a_model_holds_beside_is_downloaded_again_too(
    file: str, content: bytes, place: Place, hub: Hub
) -> None:
    real(hub)
    hub.files[file] = hub.files.get(file, b"{}")
    inspected(place)
    blob(place, file).write_bytes(content)
    more = {"generation_config.json": ("--generate", "2"), "tokenizer_config.json": ("--chat",)}
    answer = inspected(place, *more.get(file, ()))
    assert (answer.status, answer.err.splitlines()[1]) == (1, f"try: {AGAIN}")
    inspected(place)
    assert blob(place, file).read_bytes() == hub.files[file]


def test_weights_that_are_refused_do_not_stay_as_a_whole_model(place: Place, hub: Hub) -> None:
    real(hub)
    del hub.files["model.safetensors"]
    hub.files["pytorch_model.bin"] = b"cos\nsystem\n(S'touch trap'\ntR."
    answer = inspected(place)
    assert (answer.status, "would run os.system" in answer.err) == (1, True)
    assert answer.err.splitlines()[1].startswith("try: use a checkpoint with model.safetensors")
    assert not (place.snapshot / "pytorch_model.bin").exists()
    del hub.files["pytorch_model.bin"]
    hub.files["model.safetensors"] = (TOKENIZER / "model.safetensors").read_bytes()
    assert inspected(place).status == 0


def test_offline_nothing_is_removed(place: Place, hub: Hub) -> None:
    real(hub)
    inspected(place)
    blob(place, "config.json").write_bytes(b"{")
    answer = attn("inspect", "x", "-m", "org/small", HF_HOME=place.environment["HF_HOME"])
    assert answer.status == 1
    assert answer.err.splitlines()[1].startswith("try: unset HF_HUB_OFFLINE, then run the command twice")
    assert (place.snapshot / "config.json").read_bytes() == b"{"


def test_a_directory_that_is_not_in_the_cache_is_left_alone(tmp_path: Path, place: Place) -> None:
    mine = tmp_path / "models--a--b" / "snapshots" / "1"
    mine.mkdir(parents=True)
    (mine / "config.json").write_text("{")
    answer = attn("inspect", "x", "-m", mine, **place.environment)
    assert (answer.status, (mine / "config.json").exists()) == (1, True)
    assert answer.err.splitlines()[1] == "try: download the model again, or repair the file"


def test_an_error_that_is_no_damage_removes_nothing(place: Place, hub: Hub) -> None:
    real(hub)
    hub.files["config.json"] = b'{"model_type": "made-up"}'
    assert inspected(place).status == 1
    assert (place.snapshot / "config.json").is_symlink()


@pytest.mark.parametrize("is_git", [True, False])
def test_a_file_that_was_poisoned_is_found_by_its_hash_before_another_snapshot_uses_it(
    place: Place, hub: Hub, *, is_git: bool
) -> None:
    if is_git:
        content = b"blob %d\0" % len(WEIGHTS) + WEIGHTS
        hub.etags["model.safetensors"] = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    place.locate()
    poisoned = blob(place, "model.safetensors")
    poisoned.write_bytes(bytes(len(WEIGHTS)))
    hub.commit, hub.revisions = "f" * 40, ("main", "v2", "f" * 40)
    new = place.locate("org/small", "v2").directory
    assert new.name == "f" * 40
    assert (new / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("name", ["etag-of-a-mirror", "0" * 39])
def test_a_name_that_is_no_hash_says_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert is_what_the_hub_has(tmp_path / name, name)


def test_an_index_of_more_shards_than_a_model_has_is_refused_at_once(place: Place, hub: Hub) -> None:
    del hub.files["model.safetensors"]
    listed = {f"t{number}": f"model-{number}.safetensors" for number in range(2_001)}
    hub.files["model.safetensors.index.json"] = json.dumps({"weight_map": listed}).encode()
    problem, _ = place.refused()
    assert problem.endswith("lists 2,001 shards, and no model has so many")
    assert len(hub.asked) < 20


@pytest.mark.parametrize(
    ("count", "is_refused"), [(200, False), (2_000, False), (2_001, True), (100_000, True)]
)
def test_as_many_shards_as_a_model_has_are_taken(count: int, tmp_path: Path, *, is_refused: bool) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {f"t{n}": f"m-{n}.safetensors" for n in range(count)}}))
    if is_refused:
        with pytest.raises(AttnError, match="and no model has so many"):
            shard_names(index, FORMATS[0])
    else:
        assert len(shard_names(index, FORMATS[0])) == count


@pytest.mark.parametrize("content", [b"x" * 2**20, b"\0" * 2**20, b"\xff" * 300])
def test_a_ref_that_is_no_commit_is_not_read_whole(
    content: bytes, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.locate()
    (place.folder / "refs" / "main").write_bytes(content)
    monkeypatch.setattr(Path, "read_text", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    assert place.locate("org/small").directory == place.snapshot


def test_a_disk_that_is_full_when_the_branch_is_noted_spoils_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fail)
        problem, hint = place.refused()
    assert problem == f"org/small cannot be saved in {place.folder}: No space left on device"
    assert hint == "free some space there, or set HF_HOME to another directory"
    assert list((place.folder / "refs").iterdir()) == []
    assert place.locate().directory == place.snapshot
