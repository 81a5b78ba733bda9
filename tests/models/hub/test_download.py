"""Downloading a model: only needed files, atomically, with clear errors."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from attn_cli.errors import AttnError
from attn_cli.models.hub import download as downloads
from attn_cli.models.hub.locate import Located, WantedFiles, locate_model
from tests.support.hub_place import BASE, WEIGHTS, Place
from tests.support.local_hub import COMMIT, Hub

pytestmark = pytest.mark.usefixtures("online")


def test_the_cache_contains_exactly_the_needed_files_afterwards(place: Place, hub: Hub) -> None:
    assert place.locate() == Located("org/small", place.snapshot)
    names = {each.name: each.read_bytes() for each in place.snapshot.iterdir()}
    assert names == BASE | {"model.safetensors": WEIGHTS}
    assert (place.folder / "refs" / "main").read_text() == COMMIT
    assert sorted(hub.fetched) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_what_says_how_a_text_ends_is_downloaded_too(place: Place, hub: Hub) -> None:
    hub.files["generation_config.json"] = b'{"eos_token_id": [1, 2]}'
    place.locate()
    assert "generation_config.json" in place.names


def test_a_cached_model_is_not_requested_again(place: Place, hub: Hub) -> None:
    place.locate()
    hub.asked.clear()
    place.locate()
    assert hub.asked == []


def test_hugging_face_reads_what_was_downloaded(place: Place, tmp_path: Path) -> None:
    place.locate()
    found = huggingface_hub.hf_hub_download(
        "org/small", "config.json", cache_dir=tmp_path / "hub", local_files_only=True
    )
    assert found == str(place.snapshot / "config.json")


@pytest.mark.parametrize("revision", ["v1", "main", COMMIT])
def test_a_revision_is_downloaded(revision: str, place: Place) -> None:
    assert place.locate("org/small", revision).directory == place.snapshot
    assert (place.folder / "refs" / revision).exists() == (revision != COMMIT)


def test_shards_are_those_of_the_index(place: Place, hub: Hub) -> None:
    del hub.files["model.safetensors"]
    names = ["model-1.safetensors", "model-2.safetensors"]
    index = {"weight_map": dict(zip("ab", names, strict=True))}
    hub.files |= {"model.safetensors.index.json": json.dumps(index).encode(), names[0]: b"1", names[1]: b"2"}
    place.locate()
    found = {each.name for each in place.snapshot.iterdir()}
    assert found == {*BASE, *names, "model.safetensors.index.json"}


def test_pickles_are_downloaded_only_without_safetensors(place: Place, hub: Hub) -> None:
    del hub.files["model.safetensors"], hub.files["tokenizer.json"]
    place.locate()
    found = {each.name for each in place.snapshot.iterdir()}
    assert found == {"config.json", "pytorch_model.bin", "vocab.json"}


def test_a_download_reports_progress(place: Place) -> None:
    seen: list[tuple[str, int, int]] = []
    place.locate(watch=lambda *told: seen.append(told))
    total = len(WEIGHTS) + sum(map(len, BASE.values()))
    assert seen[0] == ("model.safetensors", 0, total)
    assert seen[-1] == ("config.json", total, total)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def interrupted(_file: str, done: int, _total: int) -> None:
    if done > 5000:
        raise KeyboardInterrupt


def test_ctrl_c_leaves_no_model_and_the_next_run_resumes(place: Place, hub: Hub) -> None:
    with pytest.raises(KeyboardInterrupt):
        place.locate(watch=interrupted)
    assert not place.snapshot.exists()
    assert len(place.blobs) == 1
    hub.asked.clear()
    seen: list[int] = []
    place.locate(watch=lambda _file, done, _total: seen.append(done))
    assert "model.safetensors from 5120" in hub.fetched
    assert seen[0] == 5120
    assert (place.snapshot / "model.safetensors").read_bytes() == WEIGHTS
    assert place.blobs == []


def test_ctrl_c_while_linking_leaves_no_model_either(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    linked: list[str] = []
    link = vars(downloads)["_link"]

    def interrupting(blob: Path, where: Path) -> None:
        if len(linked) == 2:
            raise KeyboardInterrupt
        linked.append(where.name)
        link(blob, where)

    monkeypatch.setattr(downloads, "_link", interrupting)
    with pytest.raises(KeyboardInterrupt):
        place.locate()
    assert linked == ["model.safetensors", "tokenizer.json"]
    with pytest.raises(AttnError, match=r"^model 'org/small' not found"):
        locate_model("org/small", place.environment)


def test_a_broken_connection_is_resumed(place: Place, hub: Hub) -> None:
    hub.breaks_after = 4096
    place.locate()
    assert (place.snapshot / "model.safetensors").read_bytes() == WEIGHTS
    assert any(file.startswith("model.safetensors from ") for file in hub.fetched)


def test_a_server_that_restarts_the_file_is_supported(place: Place, hub: Hub) -> None:
    with pytest.raises(KeyboardInterrupt):
        place.locate(watch=interrupted)
    hub.takes_ranges = False
    place.locate()
    assert (place.snapshot / "model.safetensors").read_bytes() == WEIGHTS


def test_a_snapshot_without_weights_is_completed(place: Place) -> None:
    place.snapshot.mkdir(parents=True)
    (place.snapshot / "config.json").write_bytes(BASE["config.json"])
    place.locate()
    assert (place.snapshot / "model.safetensors").exists()


@pytest.mark.parametrize(("environment", "header"), [({}, None), ({"HF_TOKEN": "hf_x"}, "Bearer hf_x")])
def test_the_token_is_sent(
    environment: dict[str, str], header: str | None, place: Place, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    place.environment |= environment
    place.locate()
    assert hub.tokens == {header}


SEE = "{endpoint}/org/small"


@pytest.mark.parametrize(
    ("refusal", "problem", "hint"),
    [
        (
            (403, "GatedRepo"),
            "org/small is gated: its authors must grant you access",
            f"request access at {SEE}, and set HF_TOKEN to a token of your account",
        ),
        (
            (404, "RepoNotFound"),
            "model 'org/small' not found: neither on this machine nor publicly on the hub",
            "check the name (attn models lists local models); for a private model set HF_TOKEN",
        ),
        (
            (404, "RevisionNotFound"),
            "org/small has no revision 'main' on the hub",
            f"see {SEE}/tree/main, or leave out --revision",
        ),
        (
            (404, "EntryNotFound"),
            "org/small is not a model attn can read: it has no config.json on the hub",
            f"see {SEE}",
        ),
        ((500, ""), "the hub answered 500 to a request for org/small", "run the command again later"),
        ((429, ""), "the hub answered 429 to a request for org/small", "run the command again later"),
    ],
)
def test_a_refusal_quotes_the_hub(
    refusal: tuple[int, str], problem: str, hint: str, place: Place, hub: Hub
) -> None:
    hub.refusal = refusal
    assert place.refused() == (problem, hint.format(endpoint=hub.endpoint))
    assert not place.snapshot.exists()


def test_a_model_missing_from_the_hub_gets_a_suggestion(place: Place) -> None:
    place.locate()
    hint = "-m org/small; for a private model set HF_TOKEN"
    assert place.refused("org/smal")[1] == hint


def test_an_invalid_token_differs_from_a_missing_model(place: Place, hub: Hub) -> None:
    hub.refusal = (401, "Invalid credentials in Authorization header")
    place.environment |= {"HF_TOKEN": "hf_old"}
    hint = f"create a new one at {hub.endpoint}/settings/tokens, or unset HF_TOKEN"
    assert place.refused() == ("the hub rejected the token in HF_TOKEN", hint)


def test_a_revision_missing_from_the_hub_is_named(place: Place, hub: Hub) -> None:
    problem = "org/small has no revision 'v2' on the hub"
    hint = f"see {hub.endpoint}/org/small/tree/main, or leave out --revision"
    assert place.refused("org/small", "v2") == (problem, hint)


@pytest.mark.parametrize(
    "revision",
    [
        *(
            "../../../../victim",
            "..",
            "a/../../../../../victim",
            "{home}/victim",
            "/",
            "a//b",
            "./main",
            "a/",
        ),
        *("v\n1", "v\x1b[31m", "v\0", "v" * 256, "é" * 128),
    ],
)
def test_a_revision_that_no_branch_can_have_writes_nothing(
    revision: str, place: Place, hub: Hub, tmp_path: Path
) -> None:
    """A hub that lies has every revision."""
    revision = revision.format(home=tmp_path)
    hub.takes_any_revision = True
    victim = tmp_path / "victim"
    victim.write_text("whole")
    problem = f"org/small has no revision '{revision}' on the hub"
    hint = f"see {hub.endpoint}/org/small/tree/main, or leave out --revision"
    assert place.refused("org/small", revision) == (problem, hint)
    assert victim.read_text() == "whole"
    assert hub.asked == []
    assert list(tmp_path.iterdir()) == [victim]


@pytest.mark.parametrize("revision", ["refs/pr/1", "feature/a.b", "v1..2", "é", "a b"])
def test_a_revision_may_have_a_path_and_an_odd_name(revision: str, place: Place, hub: Hub) -> None:
    hub.takes_any_revision = True
    assert place.locate("org/small", revision).directory == place.snapshot
    assert (place.folder / "refs" / revision).read_text() == COMMIT


def test_a_link_in_place_of_a_revision_is_not_written_through(place: Place, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    (place.folder / "refs").mkdir(parents=True)
    (place.folder / "refs" / "main").symlink_to(victim)
    place.locate()
    assert (place.folder / "refs" / "main").read_text() == COMMIT
    assert victim.read_text() == "whole"


@pytest.mark.parametrize("name", ["../../../../../secret", "/etc/passwd", "a/../../x", "..", "x\0"])
def test_an_index_in_the_cache_does_not_look_outside(
    name: str, place: Place, hub: Hub, tmp_path: Path
) -> None:
    """The hub is asked for what is missing, and its index is refused."""
    (tmp_path / "secret").touch()
    del hub.files["model.safetensors"]
    hub.files["model.safetensors.index.json"] = json.dumps({"weight_map": {"a": name}}).encode()
    place.snapshot.mkdir(parents=True)
    for file in ("config.json", "tokenizer.json", "model.safetensors.index.json"):
        (place.snapshot / file).write_bytes(hub.files[file])
    problem, _ = place.refused()
    assert problem.endswith(f"lists a file outside its directory: {name!r}")


def test_a_model_without_weights_says_so(place: Place, hub: Hub) -> None:
    del hub.files["model.safetensors"], hub.files["pytorch_model.bin"]
    problem = "org/small has no weights attn can read: neither model.safetensors nor pytorch_model.bin"
    assert place.refused() == (problem, f"see {hub.endpoint}/org/small")


def test_a_shard_missing_from_the_hub_is_named(place: Place, hub: Hub) -> None:
    hub.files["model.safetensors.index.json"] = b'{"weight_map": {"a": "a.safetensors"}}'
    del hub.files["model.safetensors"]
    problem = "org/small is incomplete: the hub has no a.safetensors, which the model's index names"
    assert place.refused() == (problem, f"see {hub.endpoint}/org/small")


@pytest.mark.parametrize("commit", ["../../evil", ""])
def test_a_hub_without_a_commit_is_refused(commit: str, place: Place, hub: Hub) -> None:
    hub.commit = commit
    url = f"{hub.endpoint}/org/small/resolve/main/config.json"
    assert place.refused() == (f"{hub.endpoint} is not a Hugging Face hub: {url}", "check HF_ENDPOINT")


def test_a_hub_whose_etag_leads_out_of_the_cache_is_refused(place: Place, hub: Hub, tmp_path: Path) -> None:
    hub.etags["config.json"] = "../../../../evil"
    url = f"{hub.endpoint}/org/small/resolve/main/config.json"
    assert place.refused() == (f"{hub.endpoint} is not a Hugging Face hub: {url}", "check HF_ENDPOINT")
    assert list(tmp_path.rglob("evil*")) == []


@pytest.mark.parametrize("name", ["-x", "a--b", "a/b.git"])
def test_an_invalid_hub_name_is_not_requested(name: str, place: Place, hub: Hub) -> None:
    where = f"no such directory, and not cached in {place.folder.parent}"
    assert place.refused(name) == (
        f"model '{name}' not found: {where}",
        "attn models lists the models on this machine",
    )
    assert hub.asked == []


def test_a_full_disk_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    problem = f"org/small cannot be saved in {place.folder}: the download of 0.0 GB does not fit on the disk"
    assert place.refused() == (problem, "free some space there, or set HF_HOME to another directory")


def test_without_a_connection_it_says_so_and_what_is_cached(tmp_path: Path) -> None:
    place = Place(tmp_path, Hub({}, endpoint="http://127.0.0.1:1"))
    problem, hint = place.refused("org/other")
    begin = "model 'org/other' not found, and the hub cannot be reached (["
    assert problem.startswith(begin)
    assert problem.endswith(f"): no such directory, and not cached in {tmp_path}/hub")
    assert hint == "check the connection, or: attn models lists the models on this machine"


def test_offline_it_says_so_and_what_is_cached(place: Place, hub: Hub) -> None:
    place.locate()
    hub.asked.clear()
    place.environment["HF_HUB_OFFLINE"] = "1"
    why = "HF_HUB_OFFLINE forbids downloading it"
    problem = f"model 'org/other' not found, and {why}: cached are org/small"
    hint = "unset HF_HUB_OFFLINE, or: attn models lists the models on this machine"
    assert place.refused("org/other") == (problem, hint)
    problem = f"revision 'v9' of org/small not found, and {why}: cached are {COMMIT}, main"
    assert place.refused("org/small", "v9") == (problem, f"unset HF_HUB_OFFLINE, or: --revision {COMMIT}")
    assert place.locate().directory == place.snapshot
    assert hub.asked == []


def shards(hub: Hub) -> list[str]:
    """Two, instead of one file."""
    del hub.files["model.safetensors"]
    names = ["model-1.safetensors", "model-2.safetensors"]
    index = json.dumps({"weight_map": dict(zip("ab", names, strict=True))}).encode()
    hub.files |= {"model.safetensors.index.json": index, names[0]: b"1", names[1]: b"2"}
    return names


def test_a_snapshot_that_lacks_a_shard_of_its_index_is_completed(place: Place, hub: Hub) -> None:
    first, second = shards(hub)
    place.locate()
    blob = (place.snapshot / second).resolve()
    (place.snapshot / second).unlink()
    blob.unlink()
    hub.asked.clear()
    place.locate()
    assert (place.snapshot / second).read_bytes() == b"2"
    assert hub.fetched == [second]
    assert first in place.names


def test_tokens_need_no_weights_and_a_later_command_fetches_them(place: Place, hub: Hub) -> None:
    place.locate(wanted=WantedFiles(weights=False))
    assert place.names == set(BASE)
    hub.asked.clear()
    place.locate(wanted=WantedFiles(weights=False))
    assert hub.asked == []
    place.locate()
    assert place.names == {*BASE, "model.safetensors"}


OWN = {
    "config.json": b'{"auto_map": {"AutoModel": "modeling.M", "AutoConfig": "x/y--z.C"}}',
    "modeling.py": b"from .layers import L\nfrom os import path\n",
    "layers.py": b"from .modeling import M\n",
    "setup.py": b"never",
}


def test_code_is_downloaded_only_if_trusted(place: Place, hub: Hub) -> None:
    hub.files |= OWN
    place.locate()
    assert not [name for name in place.names if name.endswith(".py")]
    place.locate(wanted=WantedFiles(code=True))
    assert {name for name in place.names if name.endswith(".py")} == {"modeling.py", "layers.py"}
    hub.asked.clear()
    place.locate(wanted=WantedFiles(code=True))
    assert hub.asked == []


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("etag", ["0" * 64, "0" * 40])
def test_a_damaged_download_is_not_kept(place: Place, hub: Hub, etag: str) -> None:
    hub.etags["model.safetensors"] = etag
    problem = "model.safetensors of org/small is damaged: its hash differs from the one on the hub"
    assert place.refused() == (problem, "run the command again later")
    assert not place.snapshot.exists()
    assert place.blobs == []


@pytest.mark.parametrize("etag", [git_hash(WEIGHTS), "a-mirrors-own"])
def test_git_hashes_are_checked_and_others_ignored(place: Place, hub: Hub, etag: str) -> None:
    hub.etags["model.safetensors"] = etag
    place.locate()
    assert (place.snapshot / "model.safetensors").read_bytes() == WEIGHTS


def test_a_plain_404_means_the_file_is_missing(
    place: Place, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hugging Face's hub adds a header that the entry is not found (`X-Error-Code`)."""
    answered = Hub.found

    def plain(self: Hub, path: str) -> Any:
        answer = answered(self, path)
        return answer if isinstance(answer, bytes) else (answer[0], "")

    monkeypatch.setattr(Hub, "found", plain)
    del hub.files["model.safetensors"]
    place.locate()
    assert (place.snapshot / "pytorch_model.bin").exists()


def test_a_silent_hub_times_out_after_some_seconds(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    asked: Any = huggingface_hub.get_hf_file_metadata

    def metadata(*given: Any, **words: Any) -> Any:
        limits.append(words["timeout"])
        return asked(*given, **words)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)
    session = downloads._library().get_session()  # noqa: SLF001  what the bytes come through
    streamed = session.stream

    def stream(*given: Any, **words: Any) -> Any:
        limits.append(words["timeout"])
        return streamed(*given, **words)

    monkeypatch.setattr(session, "stream", stream)
    place.locate()
    assert 7 < min(limits) <= max(limits) < 15  # a slow hub answers in 5 seconds, and 20 are too long to wait
    assert len(limits) > len(BASE)


ADAPTER = {
    "adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "org/small"}',
    "adapter_model.safetensors": WEIGHTS,
    "adapter_model.bin": b"never",
    "tokenizer.json": b"{}",
}


@pytest.mark.parametrize("more", [{}, BASE, BASE | {"model.safetensors": WEIGHTS}])
def test_of_an_adapter_its_own_files_are_downloaded(more: dict[str, bytes], place: Place, hub: Hub) -> None:
    hub.files = more | ADAPTER
    with pytest.raises(
        AttnError, match=r"^org/small is an adapter, and its base org/small is an adapter too$"
    ):
        place.locate()  # this hub has one model
    wanted = {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"}
    assert place.names == wanted | (more.keys() & {"config.json"})


def test_an_adapter_may_be_left_on_the_hub(place: Place, hub: Hub) -> None:
    hub.files |= ADAPTER
    assert place.locate(wanted=WantedFiles(adapter=False)) == Located("org/small", place.snapshot)
    assert place.names == {*BASE, "model.safetensors"}


def test_an_adapter_without_weights_is_refused(place: Place, hub: Hub) -> None:
    hub.files = {"adapter_config.json": ADAPTER["adapter_config.json"]}
    problem, _ = place.refused()
    names = "neither adapter_model.safetensors nor adapter_model.bin"
    assert problem == f"org/small is an adapter without weights: {names}"
