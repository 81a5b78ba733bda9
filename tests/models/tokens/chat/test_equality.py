"""A chat is the text, and its tokens are the ids, of transformers' `apply_chat_template`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from transformers import AutoTokenizer

from attn_cli.models.tokens.chat.rendering import write_chat
from attn_cli.models.tokens.chat.sandbox import answer
from attn_cli.models.tokens.chat.template import ChatTemplate
from attn_cli.models.tokens.open import open_tokenizer
from tests.support.chat_templates import MESSAGES, PARTS, TEMPLATES
from tests.support.tokenizer_kinds import EDITS, KINDS

pytest.importorskip("sentencepiece", reason="pip install -e '.[test]' brings it")

Make: TypeAlias = Callable[[str], Path]
Written: TypeAlias = tuple[str, list[int]] | None


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A name of a kind to a directory of its tokenizer."""

    def made(kind: str) -> Path:
        KINDS[kind](tmp_path)
        return tmp_path

    return made


class Chats:
    """The texts and ids of chats, ours and transformers'; None where the template refuses the messages."""

    def __init__(self, directory: Path, source: str) -> None:
        (directory / "chat_template.jinja").write_text(source, "utf-8")
        self._tokenizer = open_tokenizer(directory)
        self._theirs: Any = AutoTokenizer.from_pretrained(directory)

    def ours(self, messages: list[dict[str, str]]) -> Written:
        """In this process: the limits of another are tested elsewhere."""
        template = self._tokenizer.chat_template()
        assert template is not None
        found = answer(vars_of(template) | {"messages": messages, "longest": 10**6})
        if "failure" in found:
            return None
        text = str(found["text"])
        return text, [token.id for token in self._tokenizer.without_template()(text)]

    def theirs(self, messages: list[dict[str, str]]) -> Written:
        """As a user of transformers gets them."""
        apply, how = self._theirs.apply_chat_template, {"add_generation_prompt": True}
        try:
            text = apply(messages, tokenize=False, **how)
        except Exception:  # noqa: BLE001  it raises what it likes
            return None
        return text, list(apply(messages, tokenize=True, return_dict=True, **how)["input_ids"])


def vars_of(template: ChatTemplate) -> dict[str, Any]:
    return {"source": template.source, "variables": template.variables}


@pytest.mark.parametrize("style", TEMPLATES)
def test_messages_are_written_as_transformers_writes_them(make: Make, style: str) -> None:
    directory = make("qwen2" if style in {"ChatML", "Qwen"} else "llama, byte-level")
    chats = Chats(directory, TEMPLATES[style])
    for text in MESSAGES:
        user = {"role": "user", "content": text}
        for messages in ([user], [{"role": "system", "content": " Answer in verse. "}, user]):
            ours = chats.ours(messages)
            assert ours == chats.theirs(messages)
            assert (ours is None) is (style == "Gemma" and len(messages) > 1)


@pytest.mark.parametrize("kind", KINDS)
def test_variables_are_the_special_tokens_of_every_class(make: Make, kind: str) -> None:
    directory = make(kind)
    names = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
    source = "".join(f"{{{{ {name}_token }}}}|" for name in names) + "{{ messages[0].content }}"
    chats, messages = Chats(directory, source), [{"role": "user", "content": "the cat"}]
    assert chats.ours(messages) == chats.theirs(messages) is not None


@pytest.mark.parametrize("edit", [name for name in EDITS if "token" in name or "class" in name])
@pytest.mark.parametrize("kind", ["bert", "qwen2", "llama"])
def test_variables_are_those_of_edited_files(make: Make, kind: str, edit: str) -> None:
    directory = make(kind)
    EDITS[edit](directory)
    (directory / "chat_template.jinja").write_text("x", "utf-8")
    try:
        expected: Any = AutoTokenizer.from_pretrained(directory)
        template = open_tokenizer(directory).chat_template()
    except Exception:  # noqa: BLE001  files that cannot be read are tested elsewhere
        return
    assert template is not None
    assert dict(template.variables) == expected.special_tokens_map


def test_a_message_may_have_to_be_a_list_of_parts(make: Make) -> None:
    directory = make("qwen2")
    (directory / "chat_template.jinja").write_text(PARTS, "utf-8")
    template = open_tokenizer(directory).chat_template()
    assert template is not None
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"}]
    written = write_chat(template, messages, "small")
    assert "User: Where is it?" in written.text
    assert "System: Be brief." in written.text
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    listed = [dict(message) for message in written.messages]
    assert listed[1]["content"] == [{"type": "text", "text": "Where is it?"}]
    assert written.text == tokenizer.apply_chat_template(listed, tokenize=False, add_generation_prompt=True)
