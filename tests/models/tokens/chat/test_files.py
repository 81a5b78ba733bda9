"""Where a checkpoint's chat template is found, in the order of transformers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from transformers import AutoTokenizer

from attn_cli.errors import AttnError
from attn_cli.models.tokens.chat.files import read_chat_template
from attn_cli.models.tokens.open import open_tokenizer
from tests.support.tokenizer_kinds import KINDS, settings

Write: TypeAlias = Callable[[Path], object]
REPAIR = "download the model again, or repair the file"
NAMED = [{"name": "rag", "template": "of a rag"}, {"name": "default", "template": "of the list"}]


def _jinja(directory: Path) -> None:
    (directory / "chat_template.jinja").write_text("of the file\r\n", "utf-8")


def _additional(directory: Path) -> None:
    (directory / "additional_chat_templates").mkdir()
    (directory / "additional_chat_templates" / "tool_use.jinja").write_text("of tools", "utf-8")


def _json(name: str) -> Write:
    return lambda place: (place / name).write_text(json.dumps({"chat_template": f"of {name}"}), "utf-8")


def _settings(template: object) -> Write:
    return lambda place: settings(place, chat_template=template)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    KINDS["gpt2"](tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ([], None),
        ([_settings(None)], None),
        ([_settings([])], None),
        ([_settings("of the settings")], "of the settings"),
        ([_settings(NAMED)], "of the list"),
        ([_settings({"default": "of the object"})], "of the object"),
        ([_settings("of the settings"), _jinja], "of the file\n"),
        ([_settings(NAMED), _jinja, _additional], "of the file\n"),
        ([_settings("of the settings"), _json("chat_template.json")], "of the settings"),
    ],
)
def test_it_is_the_template_of_transformers(
    directory: Path, writes: list[Write], expected: str | None
) -> None:
    for write in writes:
        write(directory)
    template = open_tokenizer(directory).chat_template()
    assert (template and template.source) == expected
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    assert (tokenizer.get_chat_template() if tokenizer.chat_template else None) == expected


@pytest.mark.parametrize("name", ["chat_template.json", "processor_config.json"])
def test_the_template_of_a_processor_is_used_where_the_tokenizer_has_none(directory: Path, name: str) -> None:
    _json(name)(directory)
    template = open_tokenizer(directory).chat_template()
    assert template is not None
    assert template.source == f"of {name}"


@pytest.mark.parametrize(
    ("write", "where", "names"),
    [
        (_additional, "{}", "tool_use"),
        (_settings(NAMED[:1]), "{}/tokenizer_config.json", "rag"),
        (_settings({"b": "x", "a": "y"}), "{}/tokenizer_config.json", "a, b"),
    ],
)
def test_several_templates_without_a_default_are_named(
    directory: Path, write: Write, where: str, names: str
) -> None:
    write(directory)
    with pytest.raises(AttnError) as caught:
        read_chat_template(directory, {})
    several = f"{where.format(directory)} has several chat templates, and none is the default"
    assert caught.value.problem == f"{several}: {names}"
    assert caught.value.hint == "put the one to use into chat_template.jinja, beside tokenizer.json"


@pytest.mark.parametrize("template", [7, ["x"], [{"name": "default"}], {"default": 1}, [1]])
def test_what_is_no_template_is_an_error(directory: Path, template: object) -> None:
    settings(directory, chat_template=template)
    with pytest.raises(AttnError) as caught:
        read_chat_template(directory, {})
    where = f"{directory}/tokenizer_config.json has a chat_template"
    sentence = f"{where} that is neither a text nor a list of named texts: {json.dumps(template)}"
    assert (caught.value.problem, caught.value.hint) == (sentence, REPAIR)


def test_a_template_that_is_not_text_is_an_error(directory: Path) -> None:
    (directory / "chat_template.jinja").write_bytes(b"\xff\xfe{")
    with pytest.raises(AttnError) as caught:
        read_chat_template(directory, {})
    assert caught.value.problem.startswith(f"{directory}/chat_template.jinja cannot be read: 'utf-8' codec")


@pytest.mark.parametrize("name", ["chat_template.jinja", "additional_chat_templates/x.jinja"])
def test_a_link_out_of_the_checkpoint_is_not_followed(
    directory: Path, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "private"
    outside.write_text("secret")
    (directory / name).parent.mkdir(exist_ok=True)
    (directory / name).symlink_to(outside)
    with pytest.raises(AttnError) as caught:
        read_chat_template(directory, {})
    where = f"{directory}/{name} is a link that points outside the checkpoint: to {outside}"
    assert caught.value.problem == where


@pytest.mark.parametrize("kind", ["bert", "llama, as version 4 saved it", "camembert"])
def test_every_sort_of_tokenizer_has_it(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("sentencepiece", reason="pip install -e '.[test]' brings it")
    KINDS[kind](tmp_path)
    _jinja(tmp_path)
    for tokenizer in (open_tokenizer(tmp_path), open_tokenizer(tmp_path).without_template()):
        template = tokenizer.chat_template()
        assert template is not None
        expected: Any = AutoTokenizer.from_pretrained(tmp_path)
        assert (template.source, template.variables) == ("of the file\n", expected.special_tokens_map)


def test_a_template_may_come_with_the_class_of_the_tokenizer(tmp_path: Path) -> None:
    template = read_chat_template(tmp_path, {}, own="of the class")
    assert template is not None
    assert template.source == "of the class"
