"""Whether `tokenizer.json` is enough: the ids, segments and special tokens are those of `AutoTokenizer`."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from transformers import AutoTokenizer

from attn_cli.errors import AttnError
from attn_cli.models.hub.locate import EMBEDDED_DIRECTORY
from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.models.tokens.open import open_tokenizer
from attn_cli.models.tokens.partial import PartialTokenizer
from attn_cli.models.tokens.token import Token, Tokenizer
from tests.support.hostile import HOSTILE, MARKS, PAIRS
from tests.support.tokenizer_kinds import EDITS, KINDS, settings, state
from tests.support.twins import minilm

pytest.importorskip("sentencepiece", reason="pip install -e '.[test]' brings it")

Answer: TypeAlias = tuple[list[int], list[int]] | None
"""Ids and segments; None where the files cannot be read."""
ARGUMENTS = (*((text,) for text in HOSTILE), *PAIRS)
FEWER = (*ARGUMENTS[::4], *((text,) for text in MARKS), *PAIRS)
EDITED = [
    pytest.param(kind, edit, marks=[pytest.mark.every_type] * ((number + place) % 3 != 0))
    for number, kind in enumerate(KINDS)
    for place, edit in enumerate(EDITS)
]
"""Each edit of each kind; a third of them is always tried, of each kind and of each edit."""
SAVED = sorted(set(KINDS) - {"camembert", "llama, as version 4 saved it"})


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A name of a kind to its directory, which is made once."""
    directories: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in directories:
            directories[kind] = tmp_path_factory.mktemp("kind")
            KINDS[kind](directories[kind])
        return directories[kind]

    return make


Copy: TypeAlias = Callable[[str], Path]


@pytest.fixture
def of(made: Callable[[str], Path], tmp_path: Path) -> Copy:
    """A name of a kind to a copy of its directory."""
    return lambda kind: Path(shutil.copytree(made(kind), tmp_path / "copy"))


def theirs_for(directory: Path) -> Callable[..., Answer]:
    """What transformers answers."""
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    except Exception:  # noqa: BLE001  it raises what it likes
        return lambda *_texts: None

    def answer(*texts: str) -> Answer:
        try:
            encoding = tokenizer(*texts)
        except BaseException as error:  # a panic of the library is none of `Exception`
            if isinstance(error, KeyboardInterrupt):
                raise
            return None
        found = encoding["input_ids"]
        return found, encoding.get("token_type_ids", [0] * len(found))

    return answer


def ours_for(directory: Path) -> Callable[..., Answer]:
    """What we answer; every token has a place in its text."""
    try:
        tokenizer = open_tokenizer(directory)
    except AttnError:
        return lambda *_texts: None

    def answer(*texts: str) -> Answer:
        try:
            tokens = tokenizer(*texts)
        except AttnError:
            return None
        assert all(0 <= token.start <= token.end <= max(map(len, texts)) for token in tokens)
        return [token.id for token in tokens], [token.segment for token in tokens]

    return answer


def differences(directory: Path, among: Sequence[tuple[str, ...]] = ARGUMENTS) -> list[tuple[str, ...]]:
    """The texts on which we differ."""
    ours, theirs = ours_for(directory), theirs_for(directory)
    return [texts for texts in among if ours(*texts) != theirs(*texts)]


def ids(tokens: tuple[Token, ...]) -> list[int]:
    return [token.id for token in tokens]


def test_there_are_enough_texts_and_edits() -> None:
    assert len(set(HOSTILE)) >= 78
    assert len(KINDS) * len(EDITS) >= 60


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_segments_are_those_of_transformers(of: Copy, kind: str) -> None:
    assert differences(of(kind)) == []


@pytest.mark.parametrize(("kind", "edit"), EDITED)
def test_edited_files_are_read_as_transformers_reads_them(of: Copy, kind: str, edit: str) -> None:
    directory = of(kind)
    EDITS[edit](directory)
    assert differences(directory, FEWER) == []


@pytest.mark.parametrize("place", [EMBEDDED_DIRECTORY, minilm()], ids=["bundled", "MiniLM"])
def test_real_checkpoints_need_only_their_file(place: Path) -> None:
    assert type(open_tokenizer(place)) is FastTokenizer
    assert differences(place) == []


@pytest.mark.parametrize("edit", [name for name in EDITS if "stor" not in name and "template" not in name])
def test_a_real_checkpoint_with_edited_files_has_the_ids_of_transformers(tmp_path: Path, edit: str) -> None:
    directory = Path(shutil.copytree(minilm(), tmp_path / "copy"))
    EDITS[edit](directory)
    assert differences(directory) == []


@pytest.mark.parametrize("kind", SAVED)
def test_a_tokenizer_that_transformers_saved_is_read_from_its_file(of: Copy, kind: str) -> None:
    assert type(open_tokenizer(of(kind))) is FastTokenizer


@pytest.mark.parametrize("place", [1 << 16, (1 << 16) - 200], ids=["behind the start", "across its end"])
def test_added_tokens_are_found_where_they_stand_in_the_file(of: Copy, place: int) -> None:
    directory = of("bert")
    text = (directory / "tokenizer.json").read_text("utf-8")
    spaces = place - text.index('"added_tokens"')
    (directory / "tokenizer.json").write_text(" " * spaces + text, "utf-8")
    assert type(open_tokenizer(directory)) is FastTokenizer


@pytest.mark.parametrize("kind", SAVED)
def test_reading_such_a_file_does_not_import_transformers(
    of: Copy, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = of(kind)
    monkeypatch.setitem(sys.modules, "attn_cli.models.tokens.slow", None)
    assert open_tokenizer(directory)("the cat")


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        ("bert", "no do_lower_case"),
        ("bert", "strip_accents"),
        ("bert", "another normaliser"),
        ("gpt2", "add_prefix_space"),
        ("roberta", "no post-processor"),
        ("bert", "a template without segments"),
        ("llama", "a token listed more"),
        ("llama", "added_tokens.json"),
        ("t5", "additional_special_tokens"),
        ("bert", "split_special_tokens"),
        ("bert", "an unknown setting"),
        ("bert", "an unknown class"),
        ("bert", "short words"),
        ("qwen2", "whole words"),
        ("llama", "padding with a word"),
    ],
)
def test_files_that_disagree_are_read_by_transformers(of: Copy, kind: str, edit: str) -> None:
    directory = of(kind)
    before = open_tokenizer(directory)
    EDITS[edit](directory)
    after = open_tokenizer(directory)
    assert (type(before).__name__, type(after).__name__) == ("FastTokenizer", "TransformersTokenizer")


def test_bytes_without_a_piece_are_left_to_transformers(of: Copy) -> None:
    directory = of("gpt2")
    model = json.loads((directory / "tokenizer.json").read_text("utf-8"))["model"]
    pieces = {piece: index for piece, index in model["vocab"].items() if piece != "Ã"}  # of é
    state(directory, model=model | {"vocab": pieces, "unk_token": "<|endoftext|>"})
    assert type(open_tokenizer(directory)).__name__ == "TransformersTokenizer"
    assert differences(directory) == []


def test_case_and_accents_are_those_of_the_settings(of: Copy) -> None:
    directory = of("bert")
    lower = ids(open_tokenizer(directory)("the"))
    assert ids(open_tokenizer(directory)("THÉ")) == lower
    settings(directory, do_lower_case=False)
    assert ids(open_tokenizer(directory)("THÉ")) != lower


def test_tokens_that_only_the_settings_add_are_tokens(of: Copy) -> None:
    directory = of("llama")
    EDITS["added_tokens.json"](directory)
    found = open_tokenizer(directory)("the <NEW> cat")
    assert [(token.text, token.start, token.end) for token in found if token.text == "<NEW>"] == [
        ("<NEW>", 4, 9)
    ]


def test_a_token_of_the_settings_is_special_though_the_file_does_not_say_so(of: Copy) -> None:
    directory = of("gpt2")
    EDITS["special_tokens_map.json"](directory)
    found = open_tokenizer(directory)("the<NEW>")
    assert [(token.piece, token.special) for token in found][-1] == ("<NEW>", True)


def test_a_model_that_is_told_no_segments_has_none(of: Copy) -> None:
    directory = of("bert")
    two = [token.segment for token in open_tokenizer(directory)(*PAIRS[0])]
    assert set(two) == {0, 1}
    EDITS["no segments"](directory)
    assert {token.segment for token in open_tokenizer(directory)(*PAIRS[0])} == {0}


def test_places_are_right_where_transformers_splits_the_text(of: Copy) -> None:
    directory = of("bert")
    settings(directory, do_lower_case=False)
    found = open_tokenizer(directory)("the  CAT 日cat", "sat")
    spans = [(token.text, token.start, token.end) for token in found if not token.special]
    assert spans[0] == ("the", 0, 3)
    assert spans[-2:] == [("cat", 10, 13), ("sat", 0, 3)]


PLAIN = ("the cat", "日本 the", "cat\n", "[CLS]", "<S>")
SPECIAL = (" the", "▁the", "the <s> cat", "</s>", "a<unk>")


@pytest.mark.parametrize("text", [*PLAIN, *SPECIAL])
def test_a_llama_of_version_4_is_read_by_transformers_only_where_it_must_be(of: Copy, text: str) -> None:
    tokenizer = open_tokenizer(of("llama, as version 4 saved it"))
    assert isinstance(tokenizer, PartialTokenizer)
    opened: list[Tokenizer] = []

    def whole() -> Tokenizer:
        opened.append(tokenizer.open_whole())
        return opened[-1]

    watched = PartialTokenizer(tokenizer.file, tokenizer.applies, whole)
    assert watched(text)
    assert watched.without_template()(text)
    assert (len(opened) > 0) is (text in SPECIAL)


def test_a_token_that_is_matched_in_normalised_text_leaves_no_text_to_the_file(of: Copy) -> None:
    directory = of("llama, as version 4 saved it")
    tokens = json.loads((directory / "tokenizer.json").read_text("utf-8"))["added_tokens"]
    state(directory, added_tokens=[{**token, "normalized": True} for token in tokens])
    assert type(open_tokenizer(directory)).__name__ == "TransformersTokenizer"


@pytest.mark.parametrize("version", ["5.0.0", "5.7.1", "5.16.0", "6.0rc1", "unknown"])
def test_what_depends_on_the_version_is_left_to_transformers(
    of: Copy, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    directory = of("bert")
    monkeypatch.setattr("importlib.metadata.version", lambda _name: version)
    assert type(open_tokenizer(directory)) is FastTokenizer  # the files say what the versions do not
    settings(directory, do_lower_case=...)  # false by default until 5.8
    is_known = type(open_tokenizer(directory)) is FastTokenizer
    assert is_known is (version in {"5.16.0", "6.0rc1"})


def test_another_vocabulary_that_a_package_may_prefer_is_left_to_transformers(of: Copy) -> None:
    directory = of("llama")
    (directory / "tekken.json").write_text("{}")
    assert type(open_tokenizer(directory)).__name__ == "TransformersTokenizer"


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"])
def test_a_damaged_file_is_named(of: Copy, name: str) -> None:
    directory = of("gpt2")
    (directory / name).write_text("{")
    with pytest.raises(AttnError) as caught:
        open_tokenizer(directory)
    assert caught.value.problem.startswith(f"{directory}/{name} is not JSON: ")


def test_a_link_out_of_the_checkpoint_is_not_followed(of: Copy, tmp_path: Path) -> None:
    directory, outside = of("gpt2"), tmp_path / "outside.json"
    outside.write_text("{}")
    (directory / "tokenizer_config.json").unlink()
    (directory / "tokenizer_config.json").symlink_to(outside)
    with pytest.raises(AttnError) as caught:
        open_tokenizer(directory)
    where = f"{directory}/tokenizer_config.json is a link that points outside the checkpoint: to {outside}"
    assert caught.value.problem == where


OWN = {"auto_map": {"AutoTokenizer": [None, "own.OwnTokenizer"]}}


@pytest.mark.usefixtures("modules")
def test_own_code_that_may_not_run_is_remarked_on_if_transformers_can_do_without_it(of: Copy) -> None:
    directory = of("gpt2")
    expected = ids(open_tokenizer(directory)("the cat"))
    settings(directory, **OWN)
    (directory / "own.py").write_text("raise SystemExit('it ran')")
    tokenizer = open_tokenizer(directory)
    assert ids(tokenizer("the cat")) == expected
    remark = "the tokenizer comes with its own Python code, which was not run; --trust-remote-code runs it"
    assert tokenizer.remarks == (remark,)


@pytest.mark.usefixtures("modules")
def test_own_code_runs_if_it_is_trusted(of: Copy) -> None:
    directory = of("gpt2")
    settings(directory, **OWN)
    code = "from transformers import GPT2Tokenizer\nclass OwnTokenizer(GPT2Tokenizer):\n"
    code += (
        "    def __call__(self, text, *_, **more):\n        return super().__call__(text.upper(), **more)\n"
    )
    (directory / "own.py").write_text(code)
    found = open_tokenizer(directory, trusts_code=True)
    assert ids(found("the")) == ids(found("THE"))
    assert found.remarks == ()
    assert ids(found("the")) != ids(open_tokenizer(directory)("the"))


@pytest.mark.usefixtures("modules")
def test_own_code_that_is_needed_is_refused(of: Copy) -> None:
    directory = of("gpt2")
    settings(directory, tokenizer_class="OwnTokenizer", **OWN)
    (directory / "config.json").write_text('{"model_type": "own"}')
    with pytest.raises(AttnError) as caught:
        open_tokenizer(directory)
    needs = f"the tokenizer in {directory} needs the Python code that comes with the checkpoint"
    assert caught.value.problem == f"{needs}, and that code would run with your permissions"
    assert caught.value.hint == "--trust-remote-code, if you have read that code or trust its author"
