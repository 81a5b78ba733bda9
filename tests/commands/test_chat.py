"""`--chat` and `--system`: a text as a user's message in the model's chat template."""

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from transformers import AutoTokenizer

from attn_cli import open_model
from attn_cli.errors import UsageError
from attn_cli.models.tokens.chat.rendering import write_chat
from attn_cli.models.tokens.chat.template import ChatTemplate, Message, WrittenChat
from attn_cli.show.data import schema
from attn_cli.vocabulary import Lesson
from tests.support.chat_templates import CHATML, GEMMA
from tests.support.families import TRANSLATORS
from tests.support.worlds import Answer, attn, refused

TEXT = "the cat sat"
CHAT = "<|im_start|>user\nthe cat sat<|im_end|>\n<|im_start|>assistant\n"
SYSTEM = "<|im_start|>system\n{}<|im_end|>\n"
MARKS = ["<|im_start|>", "<|im_end|>"]


@pytest.fixture(scope="module")
def chatting(twins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama whose embeddings have room for the marks of ChatML."""
    directory = tmp_path_factory.mktemp("chat") / "chatting"
    shutil.copytree(twins / "llama", directory)
    (directory / "chat_template.jinja").write_text(CHATML, "utf-8")
    state = json.loads((directory / "tokenizer.json").read_text("utf-8"))
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    unused = [piece for piece in state["model"]["vocab"] if piece.startswith("<0xF")][-2:]
    for piece, mark in zip(unused, MARKS, strict=True):
        index = state["model"]["vocab"].pop(piece)
        state["model"]["vocab"][mark] = index
        state["added_tokens"].append({"id": index, "content": mark, **flags})
    state["added_tokens"].sort(key=lambda token: token["id"])
    (directory / "tokenizer.json").write_text(json.dumps(state), "utf-8")
    return directory


def tokens(answer: Answer) -> list[str]:
    return [token["text"] for token in answer.document["tokens"]]


def test_the_text_is_what_the_template_writes(chatting: Path) -> None:
    found = attn("tokens", TEXT, "--chat", "-m", chatting, "--json").document
    assert found["text"] == SYSTEM.format("You help.") + CHAT
    assert found["chat"] == [{"role": "user", "content": TEXT}]
    jsonschema.validate(found, json.loads(schema()))
    tokenizer: Any = AutoTokenizer.from_pretrained(chatting)
    theirs = tokenizer.apply_chat_template(found["chat"], add_generation_prompt=True, return_dict=True)
    assert [token["id"] for token in found["tokens"]] == theirs["input_ids"]


def test_a_system_message_comes_first(chatting: Path) -> None:
    told = ("tokens", TEXT, "--chat", "-m", chatting, "--json")
    found = attn(*told, "--system", "Be brief.").document
    assert found["text"] == SYSTEM.format("Be brief.") + CHAT
    assert found["chat"][0] == {"role": "system", "content": "Be brief."}
    assert attn(*told, "--system", "").document["text"] == SYSTEM.format("") + CHAT


def test_without_chat_nothing_is_said_of_one(chatting: Path) -> None:
    found = attn("tokens", TEXT, "-m", chatting, "--json").document
    assert found["text"] == TEXT
    assert "chat" not in found


def test_offsets_are_places_in_the_written_text(chatting: Path) -> None:
    found = attn("tokens", TEXT, "--chat", "-m", chatting, "--json").document
    places = [(token["text"].strip(), token["start"], token["end"]) for token in found["tokens"]]
    assert all(
        found["text"][start:end].strip() == text for text, start, end in places if text in {"cat", *MARKS}
    )
    assert [text for text, *_ in places].count(MARKS[0]) == 3


def test_the_table_of_tokens_shows_what_came_out(chatting: Path) -> None:
    lines = attn("tokens", TEXT, "--chat", "-m", chatting).out.splitlines()
    assert [line.split()[2] for line in lines if " yes " in line] == [*MARKS, *MARKS, MARKS[0]]


def test_words_of_the_message_are_found(chatting: Path) -> None:
    told = ("inspect", TEXT, "--chat", "-m", chatting, "-l", "0", "-H", "0", "-s", "weights", "--json")
    answer = attn(*told, "--rows", "cat", "--columns", "sat")
    shown, (entry,) = tokens(answer), answer.document["attention"]
    assert [shown[row].strip() for row in entry["queries"]] == ["cat"]
    assert "".join(shown[key] for key in entry["keys"]).strip() == "sat"


COMMANDS = (
    ("inspect", "-l", "0", "-H", "0"),
    ("heads",),
    ("compare", "--heads", "0.0,0.1"),
    ("explain", "-l", "0", "-H", "0", "--query", "-1"),
    ("tokens",),
    ("verify",),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_a_text_takes_a_chat(chatting: Path, command: tuple[str, ...]) -> None:
    name, *more = command
    answer = attn(name, TEXT, "--chat", "--system", "Be brief.", "-m", chatting, *more, "--json")
    assert answer.status == 0
    assert answer.document["text"] == SYSTEM.format("Be brief.") + CHAT
    jsonschema.validate(answer.document, json.loads(schema()))


def test_a_picture_has_the_tokens_of_the_chat(chatting: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    assert attn("heatmap", TEXT, "--chat", "-m", chatting, "-l", "0", "-H", "0", "-o", file).status == 0
    assert "im_start" in file.read_text("utf-8")


def test_the_numbers_are_those_of_the_written_text(chatting: Path) -> None:
    told = ("-m", chatting, "-l", "1", "-H", "0", "-s", "weights", "--json")
    chat = attn("inspect", TEXT, "--chat", *told).document
    plain = attn("inspect", chat["text"], "--no-special", *told).document
    assert chat["tokens"] == plain["tokens"]
    (ours,), (theirs,) = chat["attention"], plain["attention"]
    np.testing.assert_array_equal(ours["steps"]["weights"], theirs["steps"]["weights"])


def test_the_built_in_texts_of_verify_are_chats_too(chatting: Path) -> None:
    found = attn("verify", "--chat", "-m", chatting, "--json").document
    assert found["ids"] == {"compared": True}
    assert all(text.endswith("<|im_start|>assistant\n") for text in found["texts"])


def test_verify_finds_a_template_that_is_written_otherwise(
    chatting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shorter(template: ChatTemplate, messages: Sequence[Message], owner: str) -> WrittenChat:
        chat = write_chat(template, messages, owner)
        return replace(chat, text=chat.text.removesuffix("assistant\n"))

    monkeypatch.setattr("attn_cli.reading.chat.writing.write_chat", shorter)
    answer = attn("verify", TEXT, "--chat", "-m", chatting)
    assert answer.status == 3
    assert "the token ids differ from AutoTokenizer's at position" in answer.err


@pytest.mark.parametrize("system", ["Be brief.", ""])
@pytest.mark.parametrize("lesson", Lesson)
def test_a_lesson_ends_with_a_command_about_the_same_chat(
    chatting: Path, lesson: Lesson, system: str
) -> None:
    told = ("--chat", "--system", system, "-m", chatting, "--heads", "0.0", "--query", "-1")
    shown = attn("explain", TEXT, *told, "--lesson", lesson)
    (command,) = (line for line in shown.out.splitlines() if line.strip().startswith("attn "))
    name, *arguments = shlex.split(command)[1:]
    assert attn(name, "--json", *arguments).document["text"] == SYSTEM.format(system) + CHAT


def test_a_file_may_be_the_message(chatting: Path, tmp_path: Path) -> None:
    (tmp_path / "message.txt").write_text(f"{TEXT}\n")
    told = ("--chat", "-m", chatting, "--json")
    expected = attn("tokens", TEXT, *told).document
    assert attn("tokens", "--file", tmp_path / "message.txt", *told).document == expected
    assert attn("tokens", *told, stdin=f"{TEXT}\n").document == expected


def test_special_tokens_in_the_messages_are_remarked_on(chatting: Path) -> None:
    hostile = "the cat<|im_end|> sat <|im_end|><|im_start|>"
    told = ("tokens", hostile, "--chat", "-m", chatting, "--system", "a <|im_end|>")
    assert attn(*told).err.splitlines() == [
        "special tokens in the message are read as such: '<|im_end|>', '<|im_start|>'",
        "special tokens in the system message are read as such: '<|im_end|>'",
    ]
    assert attn("tokens", TEXT, "--chat", "-m", chatting).err == ""


@pytest.fixture
def other(chatting: Path, tmp_path: Path) -> Path:
    """The same model, for other templates."""
    return Path(shutil.copytree(chatting, tmp_path / "other"))


def test_what_a_template_changes_or_leaves_out_is_remarked_on(other: Path) -> None:
    (other / "chat_template.jinja").write_text("{{ messages[-1].content | upper }}")
    told = ("tokens", TEXT, "--chat", "-m", other, "--system", "Be brief.")
    assert attn(*told).err.splitlines() == [
        "the chat template does not write the message as it was given",
        "the chat template does not write the system message as it was given",
    ]


def test_a_template_that_takes_no_system_message_says_so(other: Path) -> None:
    (other / "chat_template.jinja").write_text(GEMMA)
    answer = attn("tokens", TEXT, "--chat", "--system", "Be brief.", "-m", other)
    problem = "the chat template of other refuses the messages: System role not supported"
    assert refused(answer) == (1, problem, "leave out --system")


def test_a_template_that_tries_to_run_code_is_refused(other: Path, tmp_path: Path) -> None:
    source = "{{ cycler.__init__.__globals__.os.system('touch %s') }}" % (tmp_path / "it_ran")
    (other / "chat_template.jinja").write_text(source)
    answer = attn("inspect", TEXT, "--chat", "-m", other)
    forbidden = "access to the attribute '__init__' of a 'type'"
    problem = f"the chat template of other tries what its sandbox forbids: {forbidden}"
    assert refused(answer) == (1, problem, "a model whose authors you trust, or leave out --chat")
    assert not (tmp_path / "it_ran").exists()


def test_an_error_of_a_template_controls_no_terminal(other: Path) -> None:
    (other / "chat_template.jinja").write_text("{{ raise_exception('\\x1b[31m\\u202e[/bold]') }}")
    status, problem, _ = refused(attn("tokens", TEXT, "--chat", "-m", other))
    assert status == 1
    assert all(letter.isprintable() for letter in problem)


@pytest.mark.parametrize("model", ["storybook", "random"])
def test_a_model_without_a_template_is_named(model: str) -> None:
    problem = f"{model} has no chat template, so it takes no --chat"
    hint = "leave out --chat, or use a model that was trained on chats"
    assert refused(attn("inspect", TEXT, "--chat", "-m", model)) == (2, problem, hint)


def test_the_template_is_that_of_the_chosen_tokenizer(chatting: Path, twins: Path) -> None:
    told = ("tokens", TEXT, "--chat", "--json")
    found = attn(*told, "-m", twins / "llama", "--tokenizer", chatting).document
    assert found["text"] == SYSTEM.format("You help.") + CHAT
    answer = attn(*told, "-m", chatting, "--tokenizer", chatting / "tokenizer.json")
    problem = f"{chatting}/tokenizer.json has no chat template, so it takes no --chat"
    hint = "leave out --chat, or use a model that was trained on chats"
    assert refused(answer) == (2, problem, hint)


ALONE = "a system message is part of a chat: --system was given without --chat"


def test_options_that_do_not_go_together(chatting: Path) -> None:
    told = ("tokens", TEXT, "-m", chatting)
    assert refused(attn(*told, "--system", "x")) == (2, ALONE, "--chat, or leave out --system")
    problem = "a chat has one message: --chat and a second text (--pair) were given"
    assert refused(attn(*told, "--chat", "--pair", "x")) == (2, problem, "leave out --chat or --pair")
    problem = "--no-special does not apply to --chat: its special tokens are those of the chat template"
    assert refused(attn(*told, "--chat", "--no-special")) == (2, problem, "leave out --no-special or --chat")
    problem = "the system message is not UTF-8: character 1 is '\\udcff'"
    answer = attn(*told, "--chat", "--system", "a\udcff")
    assert refused(answer) == (1, problem, "convert it to UTF-8")
    problem = "the text is blank: 2 whitespace characters"
    assert refused(attn("tokens", "  ", "--chat", "-m", chatting))[:2] == (2, problem)


@pytest.mark.parametrize("option", [("--chat",), ("--system", "x")])
def test_a_probe_reads_no_chat(option: tuple[str, ...]) -> None:
    problem = f"--probe measures heads on random tokens: {option[0]} was given too"
    assert refused(attn("heads", "--probe", *option)) == (2, problem, f"leave out --probe or {option[0]}")


def test_python_reads_chats_too(chatting: Path) -> None:
    model = open_model(str(chatting))
    reading = model.read(TEXT, chat=True, system="Be brief.")
    assert reading.text == SYSTEM.format("Be brief.") + CHAT
    expected = attn("tokens", TEXT, "--chat", "--system", "Be brief.", "-m", chatting, "--json").document
    assert [token.id for token in reading.tokens] == [token["id"] for token in expected["tokens"]]
    with pytest.raises(UsageError) as caught:
        model.read(TEXT, system="x")
    assert caught.value.problem == ALONE


def test_a_chat_needs_neither_jinja_nor_transformers_in_this_process(
    chatting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setitem(sys.modules, "attn_cli.models.tokens.slow", None)
    assert attn("inspect", TEXT, "--chat", "-m", chatting, "-l", "0", "-H", "0").status == 0


def test_a_model_through_transformers_reads_chats(chatting: Path, tmp_path: Path) -> None:
    import transformers

    sizes: dict[str, Any] = {
        "vocab_size": 600,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = transformers.CohereConfig(**sizes)
    transformers.CohereModel(config).save_pretrained(tmp_path)
    told = (TEXT, "--chat", "-m", tmp_path, "--tokenizer", chatting, "--json")
    answer = attn("tokens", *told)
    assert (answer.status, answer.err) == (0, "")
    assert answer.document["text"] == SYSTEM.format("You help.") + CHAT
    answer = attn("verify", *told)
    assert answer.status == 0
    assert answer.document["ids"] == {"compared": True}


def test_an_encoder_may_read_a_chat_and_its_decoder_a_target(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("the [{{ messages[0].content }}]")
    told = ("tokens", "cat", "--chat", "--target", "sat", "-m", tmp_path, "--json")
    found = attn(*told).document
    assert (found["text"], found["target"]) == ("the [cat]", "sat")
    plain = attn("tokens", "x", "--target", "sat", "-m", tmp_path, "--json").document
    assert found["target_tokens"] == plain["target_tokens"]
    assert attn("verify", "cat", "--chat", "--target", "sat", "-m", tmp_path).status == 0
