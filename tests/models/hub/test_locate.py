"""Resolving a model's name: a directory, or a name in a Hugging Face cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.hub.locate import (
    CachedModel,
    Located,
    WantedFiles,
    cache_directory,
    cached_models,
    is_offline,
    locate_model,
)
from attn_cli.safe_text import condensed
from tests.support.files import holding


def cache(home: Path, name: str, revision: str = "abc123", config: str = '{"model_type": "bert"}') -> Path:
    """A model in the cache of `HF_HOME`, and its snapshot."""
    snapshot = home / "hub" / f"models--{name.replace('/', '--')}" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(config)
    return snapshot


def refer(snapshot: Path, revision: str, name: str = "main") -> None:
    """Make a branch or tag refer to the revision."""
    ref = snapshot.parent.parent / "refs" / name
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(revision)


def at_home(home: Path) -> dict[str, str]:
    return {"HF_HOME": str(home)}


def test_a_directory_with_a_config_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").touch()
    assert locate_model(str(tmp_path / "model"), {}).directory == tmp_path / "model"
    monkeypatch.chdir(tmp_path)
    assert locate_model("model", {}).directory == Path("model")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate_model("~/model", {}).directory == tmp_path / "model"


@pytest.mark.parametrize("name", ["bert-base", "sentence-transformers/all-MiniLM-L6-v2", "a/b_c.d"])
def test_a_name_in_the_cache_is_its_snapshot(tmp_path: Path, name: str) -> None:
    snapshot = cache(tmp_path, name)
    assert locate_model(name, at_home(tmp_path)) == Located(name, snapshot)


def test_a_directory_takes_precedence_over_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache(tmp_path, "a/b")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "config.json").touch()
    monkeypatch.chdir(tmp_path)
    remark = "a/b is read from the directory of that name, not from the cached model"
    assert locate_model("a/b", at_home(tmp_path)) == Located("b", Path("a/b"), remarks=(remark,))
    assert locate_model("./a/b", at_home(tmp_path)) == Located("b", Path("a/b"))


def test_a_directory_may_have_the_name_of_an_unknown_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "~nosuch").mkdir()
    (tmp_path / "~nosuch" / "config.json").touch()
    monkeypatch.chdir(tmp_path)
    assert locate_model("~nosuch", at_home(tmp_path)).name == "~nosuch"


def test_main_refers_to_the_revision_without_its_newline(tmp_path: Path) -> None:
    old, new = cache(tmp_path, "a/b", "old"), cache(tmp_path, "a/b", "new")
    os.utime(new, (2e9, 2e9))
    refer(old, "old\n")
    assert locate_model("a/b", at_home(tmp_path)).directory == old


@pytest.mark.parametrize("revision", ["gone", "", "../../../elsewhere", "a\0b", "x" * 5000])
def test_without_a_valid_ref_the_newest_snapshot_is_used(tmp_path: Path, revision: str) -> None:
    old, new = cache(tmp_path, "a/b", "old"), cache(tmp_path, "a/b", "new")
    os.utime(old, (1e9, 1e9))
    os.utime(new, (2e9, 2e9))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "config.json").touch()
    refer(old, revision)
    assert locate_model("a/b", at_home(tmp_path)).directory == new


def test_a_ref_that_is_not_text_is_ignored(tmp_path: Path) -> None:
    snapshot = cache(tmp_path, "a/b")
    refer(snapshot, "abc123")
    (snapshot.parent.parent / "refs" / "main").write_bytes(b"\xff")
    assert locate_model("a/b", at_home(tmp_path)).directory == snapshot


def test_a_snapshot_without_a_config_is_skipped(tmp_path: Path) -> None:
    whole, half = cache(tmp_path, "a/b", "whole"), cache(tmp_path, "a/b", "half")
    (half / "config.json").unlink()
    refer(half, "half")
    assert locate_model("a/b", at_home(tmp_path)).directory == whole


@pytest.mark.parametrize("revision", ["old", "v1.0", "refs/pr/1"])
def test_a_revision_is_a_commit_a_tag_or_a_branch(tmp_path: Path, revision: str) -> None:
    old, new = cache(tmp_path, "a/b", "old"), cache(tmp_path, "a/b", "new")
    for name, commit in (("main", "new"), ("v1.0", "old\n"), ("refs/pr/1", "old")):
        refer(new, commit, name)
    assert locate_model("a/b", at_home(tmp_path), revision).directory == old
    assert locate_model("a/b", at_home(tmp_path), "main").directory == new


@pytest.mark.parametrize(
    "revision", ["gone", "", "..", "../../elsewhere", "/etc", "half", "a\0b", "x" * 5000]
)
def test_a_revision_that_is_not_cached_says_which_are(tmp_path: Path, revision: str) -> None:
    refer(cache(tmp_path, "a/b", "abc123"), "abc123")
    refer(cache(tmp_path, "a/b", "fff"), "nowhere", "broken")
    (cache(tmp_path, "a/b", "half") / "config.json").unlink()
    with pytest.raises(AttnError) as caught:
        locate_model("a/b", at_home(tmp_path), revision)
    problem = f"revision '{revision}' of a/b not found: cached are abc123, fff, main"
    assert (caught.value.problem, caught.value.hint) == (condensed(problem), "--revision abc123")


def test_of_many_revisions_the_first_are_listed(tmp_path: Path) -> None:
    for number in range(10):
        cache(tmp_path, "a", f"r{number}")
    with pytest.raises(AttnError, match=r"cached are r0, r1, r2, r3, r4, r5, r6, r7 and 2 more$"):
        locate_model("a", at_home(tmp_path), "main")


def test_a_revision_of_a_missing_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(AttnError, match=r"^model 'a/b' not found: no such directory"):
        locate_model("a/b", at_home(tmp_path), "main")


def test_a_directory_has_no_revisions(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    with pytest.raises(UsageError) as caught:
        locate_model(str(tmp_path), {}, "main")
    problem = f"--revision applies only to models on the hub: {tmp_path} is on disk"
    assert (caught.value.problem, caught.value.hint) == (problem, "leave out --revision")


NAMES = [
    "nothing",
    "a/b/c",
    "../evil",
    "a/../b",
    "/no/where",
    "~nosuchuser/x",
    "x" * 5000,
    "a\0b",
    "a b",
    "é/\udcff",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_model_says_where_it_was_searched(tmp_path: Path, name: str) -> None:
    with pytest.raises(AttnError) as caught:
        locate_model(name, at_home(tmp_path))
    where = f"no such directory, and not cached in {tmp_path}/hub"
    assert caught.value.problem == condensed(f"model '{name}' not found: {where}")
    assert caught.value.hint == "attn models lists the models on this machine"


def test_a_name_cannot_leave_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "hub" / "snapshots" / "x"
    outside.mkdir(parents=True)
    (outside / "config.json").touch()
    monkeypatch.chdir(tmp_path / "hub")
    for name in ("models--a/..", "models--/../x", "a/../../snapshots"):
        with pytest.raises(AttnError, match="not found"):
            locate_model(name, at_home(tmp_path))


def test_a_file_is_not_a_model(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    file.touch()
    with pytest.raises(AttnError) as caught:
        locate_model(str(file), {})
    assert caught.value.problem == f"{file} is not a model: it is a file, and not a .gguf file"
    assert caught.value.hint == "a .gguf file, or the directory that contains the model"


@pytest.mark.parametrize("name", ["MODEL-Q4_K_M.GGUF", "model.q8_0.gguf"])
def test_a_directory_with_one_gguf_file_is_that_model(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"GGUF")
    (tmp_path / "README.md").write_text("a model")
    for path in (tmp_path, tmp_path / name):
        found = locate_model(str(path), {})
        assert (found.name, found.directory) == (name[:-5], tmp_path / name)


def test_an_unfinished_training_is_told_to_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "attn-training").mkdir()
    with pytest.raises(AttnError) as caught:
        locate_model(str(tmp_path), {})
    assert caught.value.problem == f"{tmp_path} is not a model yet: its training is not finished"
    assert caught.value.hint == f"attn train FILE... -o {tmp_path} --resume, with the options of the run"


def test_of_several_gguf_files_one_is_named(tmp_path: Path) -> None:
    for name in ("b.gguf", "A.GGUF"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(AttnError) as caught:
        locate_model(str(tmp_path), {})
    assert caught.value.problem == f"{tmp_path} has 2 .gguf files: A.GGUF, b.gguf"
    assert caught.value.hint == f"-m {tmp_path / 'A.GGUF'}"


def test_a_gguf_file_is_a_model(tmp_path: Path) -> None:
    file = tmp_path / "small.Q8_0.gguf"
    file.touch()
    assert locate_model(str(file), {}) == Located("small.Q8_0", file)


def test_a_directory_without_a_config_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(AttnError) as caught:
        locate_model(str(tmp_path), {})
    assert caught.value.problem == f"{tmp_path} is not a model: the directory has no config.json"
    hint = "a directory with config.json, model.safetensors and tokenizer.json"
    assert caught.value.hint == hint


def test_the_cache_is_where_hugging_face_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_directory({}) == Path("/home/ada/.cache/huggingface/hub")
    assert cache_directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/huggingface/hub")
    assert cache_directory({"XDG_CACHE_HOME": "/c", "HF_HOME": "~/h"}) == Path("/home/ada/h/hub")
    assert cache_directory({"HF_HOME": "/h", "HF_HUB_CACHE": "/there"}) == Path("/there")
    assert cache_directory({"HF_HOME": "", "HF_HUB_CACHE": "", "XDG_CACHE_HOME": ""}) == cache_directory({})


def test_the_cached_models_are_listed_by_name(tmp_path: Path) -> None:
    second, first = cache(tmp_path, "b", config='{"model_type": "gpt2"}'), cache(tmp_path, "a/b")
    (tmp_path / "hub" / "models--empty").mkdir()
    (tmp_path / "hub" / "datasets--a--c").mkdir()
    (tmp_path / "hub" / "version.txt").touch()
    found = list(cached_models(at_home(tmp_path)))
    assert found == [CachedModel("a/b", "bert", first), CachedModel("b", "gpt2", second)]
    assert list(cached_models(at_home(tmp_path / "nowhere"))) == []


@pytest.mark.parametrize("config", ["", "{", "[]", "3", "{}", '{"model_type": null}', "[" * 100_000])
def test_a_model_whose_type_cannot_be_read_is_listed_without_one(tmp_path: Path, config: str) -> None:
    snapshot = cache(tmp_path, "a/b", config=config)
    assert list(cached_models(at_home(tmp_path))) == [CachedModel("a/b", "", snapshot)]


def test_a_config_outside_the_cache_is_not_read_for_a_list(tmp_path: Path) -> None:
    snapshot = cache(tmp_path, "a/b")
    (snapshot / "config.json").rename(tmp_path / "config.json")
    (snapshot / "config.json").symlink_to(tmp_path / "config.json")
    assert list(cached_models(at_home(tmp_path))) == [CachedModel("a/b", "", snapshot)]


def test_a_strange_type_is_shown_as_text(tmp_path: Path) -> None:
    cache(tmp_path, "a/b", config=json.dumps({"model_type": ["bert"]}))
    assert [each.type for each in cached_models(at_home(tmp_path))] == ["['bert']"]


def test_finding_a_model_loads_nothing_heavy() -> None:
    script = (
        "import sys, attn_cli.models.hub.locate\n"
        "print({'numpy', 'torch', 'tokenizers', 'transformers', 'rich'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("ON", True), ("yes", True), ("True", True), ("0", False), ("", False)],
)
def test_the_hub_is_not_contacted_in_offline_mode(name: str, value: str, offline: bool) -> None:
    assert is_offline({name: value}) is offline


@pytest.mark.parametrize(
    "file", ["tokenizer.json", "tokenizer.model", "vocab.txt", "spiece.model", "source.spm"]
)
def test_a_cached_tokenizer_needs_no_hub(file: str, tmp_path: Path) -> None:
    snapshot, asked = cache(tmp_path, "a/b"), []

    def fetch(name: str, _revision: str | None) -> Path:
        asked.append(name)
        return snapshot

    wanted = WantedFiles(weights=False)
    locate_model("a/b", at_home(tmp_path), None, fetch, wanted)
    assert asked == ["a/b"]
    (snapshot / file).touch()
    locate_model("a/b", at_home(tmp_path), None, fetch, wanted)
    assert asked == ["a/b"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("storybok", "storybook"),
        ("STORYBOOK", "storybook"),
        ("stroybok", "storybook"),
        ("Random", "random"),
        ("ramdon", "random"),
        ("rando", "random"),
        ("distilbert-base-uncasd", "distilbert-base-uncased"),
        ("GPT2-xl", "gpt2-xl"),
        ("gpt-2-xl", "gpt2-xl"),
        ("ORG/Model", "org/model"),
    ],
)
def test_a_typo_is_reported_before_the_hub_is_queried(name: str, meant: str, tmp_path: Path) -> None:
    for cached in ("distilbert-base-uncased", "gpt2-xl", "org/model"):
        cache(tmp_path, cached)

    def fetch(*_: object) -> Path:
        raise AssertionError

    with pytest.raises(AttnError) as caught:
        locate_model(name, at_home(tmp_path), fetch=fetch)
    assert caught.value.problem == f"model '{name}' not found, but there is {meant}"
    insist = "or --revision main for the model of that name on the hub"
    assert caught.value.hint == f"-m {meant}, {insist}"


@pytest.mark.parametrize(
    "name",
    [
        *("gpt2", "bert-base-cased", "albert-base-v1", "t5-3b", "bart", "t5-small", "org/modell"),
        *("strybk", "rand"),  # three letters of storybook, and too short for two of random
    ],
)
def test_a_plausible_name_is_sent_to_the_hub(name: str, tmp_path: Path) -> None:
    for cached in (
        "gpt2-xl",
        "bert-base-uncased",
        "albert-base-v2",
        "t5-11b",
        "bert",
        "org/model",
        "t5-base",
    ):
        cache(tmp_path, cached)
    found = locate_model(name, at_home(tmp_path), fetch=lambda *_: tmp_path)
    assert (found.name, found.directory) == (name, tmp_path)


def test_an_explicit_revision_skips_the_typo_check(tmp_path: Path) -> None:
    found = locate_model("storybok", at_home(tmp_path), "main", fetch=lambda *_: tmp_path)
    assert found.directory == tmp_path


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("sentence-transformer/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("https://huggingface.co/org/name", "org/name"),
        ("https://huggingface.co/gpt2", "gpt2"),
        ("https://huggingface.co/gpt2/tree/main", "gpt2"),
        ("https://huggingface.co/gpt2/blob/main/config.json", "gpt2"),
        ("https://huggingface.co/org/tree", "org/tree"),
        ("huggingface.co/org/name/tree/main?x=1", "org/name"),
        ("story", "storybook"),
    ],
)
def test_a_missing_model_gets_a_suggestion(name: str, meant: str, tmp_path: Path) -> None:
    cache(tmp_path, "sentence-transformers/all-MiniLM-L6-v2")
    with pytest.raises(AttnError) as caught:
        locate_model(name, at_home(tmp_path))
    assert caught.value.hint == f"-m {meant}, or: attn models lists the models on this machine"


def test_a_missing_gguf_file_is_not_a_model_name(tmp_path: Path) -> None:
    with pytest.raises(AttnError) as caught:
        locate_model("llama.gguf", at_home(tmp_path), fetch=lambda *_: tmp_path)
    assert caught.value.problem == "the file llama.gguf does not exist"
    assert caught.value.hint == "check the path after --model"


@pytest.mark.parametrize("place", ["m", "m/snapshots/abc"])
def test_a_nearby_model_is_suggested(place: str, tmp_path: Path) -> None:
    directory = tmp_path / "all" / place
    directory.mkdir(parents=True)
    (directory / "config.json").touch()
    (directory / "model.safetensors").touch()
    for path in (directory / "model.safetensors", directory.parent):
        with pytest.raises(AttnError, match="is not a model: ") as caught:
            locate_model(str(path), {})
        assert caught.value.hint == f"-m {directory}"


def adapter_in(directory: Path, base: str | None, **more: object) -> Path:
    """A directory with the configuration of an adapter."""
    directory.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "base_model_name_or_path": base} | more
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


def base_in(directory: Path) -> Path:
    directory.mkdir(parents=True)
    (directory / "config.json").write_text('{"model_type": "llama"}')
    return directory


def test_an_adapter_finds_its_base_in_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = base_in(tmp_path / "base")
    for named in (str(base), "base", "../base"):  # absolute, from here, from the adapter
        adapter = adapter_in(tmp_path / "adapter", named)
        monkeypatch.chdir(tmp_path if named == "base" else "/")
        found = locate_model(str(adapter), {})
        assert (found.name, found.adapter) == ("base + adapter", adapter)
        assert found.directory.resolve() == base
        assert locate_model(str(adapter), {}, wanted=WantedFiles(adapter=False)).adapter is None


@pytest.mark.parametrize("revision", [None, "old"])
def test_an_adapter_finds_its_base_in_the_cache(tmp_path: Path, revision: str | None) -> None:
    old, new = cache(tmp_path, "org/base", "old"), cache(tmp_path, "org/base", "new")
    refer(new, "new")
    adapter = adapter_in(tmp_path / "adapter", "org/base", revision=revision)
    found = locate_model(str(adapter), at_home(tmp_path))
    assert found == Located("org/base + adapter", old if revision else new, adapter)


def test_a_cached_adapter_is_a_model(tmp_path: Path) -> None:
    base, adapter = cache(tmp_path, "org/base"), cache(tmp_path, "org/adapter")
    (adapter / "config.json").unlink()
    adapter_in(adapter, "org/base")
    assert locate_model("org/adapter", at_home(tmp_path)) == Located("org/base + org/adapter", base, adapter)
    names = [(model.name, model.type) for model in cached_models(at_home(tmp_path))]
    assert names == [("org/adapter", "adapter"), ("org/base", "bert")]


def test_of_a_cached_adapter_with_a_model_the_base_is_the_one_it_names(tmp_path: Path) -> None:
    """As `from_pretrained` of transformers does for a name, and not for a directory."""
    base, adapter = cache(tmp_path, "org/base"), cache(tmp_path, "org/adapter")
    adapter_in(adapter, "org/base")
    assert locate_model("org/adapter", at_home(tmp_path)).directory == base
    assert locate_model(str(adapter), at_home(tmp_path)).directory == adapter


def test_a_base_that_is_missing_is_named(tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path / "adapter", "/workspace/base")
    with pytest.raises(AttnError) as caught:
        locate_model(str(adapter), at_home(tmp_path))
    missing = f"model '/workspace/base' not found: no such directory, and not cached in {tmp_path}/hub"
    assert caught.value.problem == f"adapter is an adapter, and its base is missing: {missing}"
    there = "write the directory of its base there, or leave its files beside those of the base"
    assert caught.value.hint == f"{there}: {adapter}/adapter_config.json"


def test_a_base_that_may_not_be_downloaded_says_so(tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path / "adapter", "org/base")
    with pytest.raises(AttnError) as caught:
        locate_model(str(adapter), at_home(tmp_path) | {"HF_HUB_OFFLINE": "1"})
    missing = "model 'org/base' not found, and HF_HUB_OFFLINE forbids downloading it"
    assert caught.value.problem.startswith(f"adapter is an adapter, and its base is missing: {missing}: ")
    assert caught.value.hint.startswith("unset HF_HUB_OFFLINE")


def test_the_base_is_downloaded(tmp_path: Path) -> None:
    adapter, base = adapter_in(tmp_path / "adapter", "org/base", revision="v1"), base_in(tmp_path / "there")
    asked = []

    def fetch(name: str, revision: str | None) -> Path:
        asked.append((name, revision))
        return base

    found = locate_model(str(adapter), at_home(tmp_path), fetch=fetch)
    assert found == Located("org/base + adapter", base, adapter)
    assert asked == [("org/base", "v1")]


@pytest.mark.parametrize("base", [None, "", 3])
def test_an_adapter_that_names_no_base_says_so(tmp_path: Path, base: str | None) -> None:
    adapter = adapter_in(tmp_path / "adapter", base)
    with pytest.raises(AttnError, match=r"^adapter is an adapter whose base_model_name_or_path is empty$"):
        locate_model(str(adapter), {})


def test_an_adapter_of_another_library_says_so(tmp_path: Path) -> None:
    adapter = adapter_in(tmp_path / "adapter", "org/base", peft_type=None)  # MLX has no peft_type
    with pytest.raises(AttnError) as caught:
        locate_model(str(adapter), {})
    place = f"{adapter}/adapter_config.json"
    assert caught.value.problem == f"adapter is not an adapter of PEFT: {place} has no peft_type"


def test_an_adapter_of_an_adapter_is_refused(tmp_path: Path) -> None:
    inner = adapter_in(tmp_path / "inner", "org/base")
    adapter = adapter_in(tmp_path / "adapter", str(inner))
    with pytest.raises(AttnError) as caught:
        locate_model(str(adapter), {})
    assert caught.value.problem == f"adapter is an adapter, and its base {inner} is an adapter too"


def test_a_directory_that_is_no_model_does_not_hide_a_cached_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = cache(tmp_path, "gpt2")
    (tmp_path / "gpt2").mkdir()
    (tmp_path / "gpt2" / "train.py").touch()
    monkeypatch.chdir(tmp_path)
    remark = "the directory gpt2 is not a model: the model gpt2 of the hub is read"
    assert locate_model("gpt2", at_home(tmp_path)) == Located("gpt2", snapshot, remarks=(remark,))
    with pytest.raises(AttnError, match=r"^\./gpt2 is not a model: the directory has no config.json$"):
        locate_model("./gpt2", at_home(tmp_path))
    with pytest.raises(AttnError, match=r"^gpt2 is not a model: the directory has no config.json$"):
        locate_model("gpt2", at_home(tmp_path / "empty"))


def test_a_revision_is_of_the_hub_whatever_the_directory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    found = locate_model("gpt2", at_home(tmp_path), "main", fetch=lambda *_: tmp_path)
    assert found.directory == tmp_path


LAYOUTS = {
    "Google's BERT": (
        ["bert_config.json", "bert_model.ckpt.index"],
        "bert_model.ckpt.index is in the format of TensorFlow",
    ),
    "Llama of Meta": (
        ["params.json", "consolidated.00.pth"],
        "consolidated.00.pth is in the format of the original code of Llama or Mistral",
    ),
    "Lightning": (["epoch=3.ckpt", "hparams.yaml"], "epoch=3.ckpt is in the format of PyTorch Lightning"),
    "NeMo": (["model.nemo"], "model.nemo is in the format of NeMo"),
    "ONNX": (["onnx/model.onnx"], "onnx/model.onnx is in the format of ONNX"),
    "FSDP": ([".metadata", "__0_0.distcp"], ".metadata is in the format of torch.distributed.checkpoint"),
    "DeepSpeed": (
        ["global_step9/mp_rank_00_model_states.pt"],
        "global_step9/mp_rank_00_model_states.pt is in the format of DeepSpeed",
    ),
    "PyTorch": (["model.pt"], "model.pt is in the format of PyTorch, without Hugging Face's layout"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_directory_of_another_library_is_named(name: str, tmp_path: Path) -> None:
    files, what = LAYOUTS[name]
    with pytest.raises(AttnError) as caught:
        locate_model(str(holding(tmp_path, *files)), {})
    assert caught.value.problem == f"{tmp_path} is not a model: the directory has no config.json, and {what}"
    assert caught.value.hint


def test_the_newest_checkpoint_of_a_training_is_offered(tmp_path: Path) -> None:
    holding(tmp_path, "checkpoint-500/config.json", "checkpoint-1500/config.json", "checkpoint-2000/x")
    with pytest.raises(AttnError) as caught:
        locate_model(str(tmp_path), {})
    assert caught.value.problem.endswith("has no config.json, and holds the checkpoints of a training")
    assert caught.value.hint == f"-m {tmp_path}/checkpoint-1500"


def test_a_checkpoint_may_be_an_adapter(tmp_path: Path) -> None:
    adapter_in(tmp_path / "checkpoint-7", "org/base")
    with pytest.raises(AttnError) as caught:
        locate_model(str(tmp_path), {})
    assert caught.value.hint == f"-m {tmp_path}/checkpoint-7"


def test_a_pipeline_of_diffusers_offers_its_text_encoder(tmp_path: Path) -> None:
    files = ["model_index.json", "safety_checker/config.json", "text_encoder/config.json", "unet/config.json"]
    with pytest.raises(AttnError) as caught:
        locate_model(str(holding(tmp_path, *files)), {})
    assert caught.value.problem == f"{tmp_path} is a pipeline of diffusers, not one model"
    assert caught.value.hint == f"-m {tmp_path}/text_encoder"


@pytest.mark.parametrize("folder", ["0_Transformer", "transformer"])
def test_the_transformer_of_sentence_transformers_is_followed(folder: str, tmp_path: Path) -> None:
    base_in(tmp_path / folder)
    modules = [{"name": "0", "path": folder}, {"name": "1", "path": "1_Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    found = locate_model(str(tmp_path), {})
    assert (found.name, found.directory) == (tmp_path.name, tmp_path / folder)


@pytest.mark.parametrize("path", ["..", "../there", "/etc", ".", None, 3])
def test_a_module_is_a_folder_of_the_directory(path: object, tmp_path: Path) -> None:
    base_in(tmp_path / "there")
    (tmp_path / "model").mkdir()
    (tmp_path / "config.json").touch()
    (tmp_path / "model" / "modules.json").write_text(json.dumps([{"path": path}, 7]))
    with pytest.raises(AttnError, match=r"is not a model: the directory has no config\.json"):
        locate_model(str(tmp_path / "model"), {})
