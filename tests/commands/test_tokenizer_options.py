"""`--tokenizer` and `--no-special`: another tokenizer, and no special tokens around the text."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests.support.families import TRANSLATORS
from tests.support.twins import byte_level, minilm, save_tokenizer
from tests.support.worlds import Answer, attn, refused

CLS, SEP = "[CLS]", "[SEP]"


def pieces(answer: Answer, side: str = "tokens") -> list[str]:
    return [token["piece"] for token in answer.document[side]]


@pytest.fixture
def bare(twins: Path, tmp_path: Path) -> Path:
    """A model without a tokenizer."""
    directory = Path(shutil.copytree(twins / "bert", tmp_path / "bare"))
    for file in directory.glob("tokenizer*"):
        file.unlink()
    return directory


def test_a_model_without_a_tokenizer_says_which_option_helps(bare: Path) -> None:
    problem = f"{bare} has no tokenizer: neither tokenizer.json nor an older file"
    hint = "--tokenizer DIR, the directory of the model that it was trained with"
    assert refused(attn("tokens", "the cat", "-m", bare)) == (1, problem, hint)


@pytest.mark.parametrize("name", ["", "tokenizer.json"])
def test_a_tokenizer_is_a_directory_or_a_file(bare: Path, twins: Path, name: str) -> None:
    answer = attn("tokens", "the cat", "-m", bare, "--tokenizer", twins / "bert" / name, "--json")
    assert pieces(answer) == [CLS, "the", "cat", SEP]


def test_a_tokenizer_may_be_that_of_a_cached_model(bare: Path, twins: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--somebody--small" / "snapshots" / "1"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(twins / "bert")
    told = ("tokens", "the cat", "-m", bare, "--tokenizer", "somebody/small", "--json")
    assert pieces(attn(*told, HF_HOME=str(tmp_path))) == [CLS, "the", "cat", SEP]


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "-l", "0", "--json"),
        ("heads", "--json"),
        ("compare", "--heads", "0.0,0.1", "--json"),
        ("verify", "--json"),
        ("tokens", "--json"),
    ],
)
def test_every_command_that_reads_a_text_takes_both_options(
    bare: Path, twins: Path, command: Sequence[str]
) -> None:
    name, *more = command
    answer = attn(name, "the cat", "-m", bare, "--tokenizer", twins / "bert", "--no-special", *more)
    assert pieces(answer) == ["the", "cat"]


def test_a_picture_takes_both_options(bare: Path, twins: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    told = ("-m", bare, "--tokenizer", twins / "bert", "--no-special", "-H", "0", "-l", "0", "-o", file)
    assert attn("heatmap", "the cat", *told).status == 0
    assert CLS not in file.read_text("utf-8")


def test_a_model_through_transformers_takes_both_options(tmp_path: Path, twins: Path) -> None:
    import transformers

    config = transformers.XGLMConfig(
        vocab_size=80, d_model=16, num_layers=1, attention_heads=2, ffn_dim=16, max_position_embeddings=32
    )
    transformers.XGLMModel(config).save_pretrained(tmp_path)
    told = ("tokens", "the cat", "-m", tmp_path, "--tokenizer", twins / "bert", "--json")
    assert pieces(attn(*told)) == [CLS, "the", "cat", SEP]
    assert pieces(attn(*told, "--no-special")) == ["the", "cat"]


def test_tokens_beyond_the_vocabulary_of_the_model_are_an_error(twins: Path) -> None:
    answer = attn("tokens", "the cat", "-m", twins / "bert", "--tokenizer", minilm())
    problem = "the token '[CLS]' has id 101, but the vocabulary has 80"
    assert refused(answer) == (1, problem, "--tokenizer with the tokenizer that the model was trained with")


def test_a_larger_vocabulary_is_remarked_on_though_no_token_is_beyond_the_model(
    twins: Path, tmp_path: Path
) -> None:
    inner = byte_level()
    inner.add_tokens(["<one>", "<two>"])
    save_tokenizer(inner, tmp_path)
    told = ("inspect", "the cat", "-m", twins / "gpt2", "--tokenizer", tmp_path, "-l", "0", "-H", "0")
    size, embedded = inner.get_vocab_size(), 300
    assert size > embedded
    remark = (
        f"the tokenizer has {size} tokens, and the model embeddings for 300: they may not belong together"
    )
    assert remark in attn(*told).err
    assert remark not in attn(*told, "-q").err
    own = attn("inspect", "the cat", "-m", twins / "gpt2", "-l", "0", "-H", "0").err
    assert "belong together" not in own


def test_what_is_no_tokenizer_is_named(twins: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.bin").touch()
    problem = f"{tmp_path}/vocab.bin is not a tokenizer: it is neither a .json nor a .gguf file"
    answer = attn("tokens", "a", "-m", twins / "bert", "--tokenizer", tmp_path / "vocab.bin")
    assert refused(answer) == (1, problem, "--tokenizer DIR, the directory that contains it")
    (tmp_path / "wrong").mkdir()
    problem = f"{tmp_path}/wrong has no tokenizer: neither tokenizer.json nor an older file"
    answer = attn("tokens", "a", "-m", twins / "bert", "--tokenizer", tmp_path / "wrong")
    assert refused(answer) == (1, problem, "--tokenizer DIR, the directory that contains it")
    answer = attn("tokens", "a", "-m", twins / "bert", "--tokenizer", "nobody/nothing", HF_HUB_OFFLINE="1")
    assert refused(answer)[0] == 1
    assert refused(answer)[1].startswith("--tokenizer cannot be opened: model 'nobody/nothing' not found")


def test_words_of_a_random_layer_need_no_tokenizer(twins: Path) -> None:
    problem = "--tokenizer does not apply to -m random: its tokens are the words of the text"
    answer = attn("tokens", "a", "-m", "random", "--tokenizer", twins / "bert")
    assert refused(answer) == (2, problem, "leave out --tokenizer")


def test_no_special_tokens_are_added_but_those_in_the_text_stay(twins: Path) -> None:
    told = ("tokens", f"{CLS} the cat", "-m", twins / "bert", "--no-special", "--json")
    found = attn(*told).document["tokens"]
    assert [(token["piece"], token["special"]) for token in found] == [
        (CLS, True),
        ("the", False),
        ("cat", False),
    ]


@pytest.mark.parametrize("texts", [("the cat",), ("the cat", "sat")])
def test_without_special_tokens_the_ids_are_those_of_transformers(
    twins: Path, texts: tuple[str, ...]
) -> None:
    pair = ("--pair", texts[1]) if len(texts) > 1 else ()
    found = attn("tokens", texts[0], *pair, "-m", twins / "bert", "--no-special", "--json").document["tokens"]
    tokenizer: Any = AutoTokenizer.from_pretrained(twins / "bert")
    expected = tokenizer(*texts, add_special_tokens=False)
    assert [token["id"] for token in found] == expected["input_ids"]
    assert [token["segment"] for token in found] == expected["token_type_ids"]


def test_the_decoder_still_reads_its_start_token(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    told = ("tokens", "the cat", "--target", "the mat sat", "-m", tmp_path, "--json")
    with_end, without = attn(*told), attn(*told, "--no-special")
    assert pieces(with_end, "target_tokens")[0] == pieces(without, "target_tokens")[0]
    labels = pieces(attn("tokens", "the mat sat", "-m", tmp_path, "--no-special", "--json"))
    assert pieces(without, "target_tokens")[1:] == labels[:-1]


_AGAIN = "the text begins with '[CLS]', and the model's template adds another"
TWICE = f"{_AGAIN}; --no-special leaves out the template's"


def test_two_start_tokens_in_a_row_are_remarked_on(twins: Path) -> None:
    assert TWICE in attn("tokens", f"{CLS} the", "-m", twins / "bert").err.splitlines()
    assert TWICE in attn("inspect", f"{CLS} the", "-m", twins / "bert", "-l", "0").err.splitlines()


@pytest.mark.parametrize("text", ["the [CLS]", "[SEP] the", "the"])
def test_another_special_token_is_not(twins: Path, text: str) -> None:
    assert "begins with" not in attn("tokens", text, "-m", twins / "bert").err


def test_without_the_template_there_is_only_one(twins: Path) -> None:
    answer = attn("tokens", f"{CLS} the", "-m", twins / "bert", "--no-special")
    assert (answer.status, answer.err) == (0, "")


def test_the_remark_is_about_the_text_of_the_decoder_too(tmp_path: Path) -> None:
    TRANSLATORS["bart"].save(tmp_path)
    inner = byte_level()
    inner.post_processor = _starting(inner.get_vocab()["<|endoftext|>"])
    save_tokenizer(inner, tmp_path)
    found = attn("tokens", "the", "-m", tmp_path, "--target", "<|endoftext|>the cat").err
    assert "the text begins with '<|endoftext|>', and the model's template adds another" in found


def _starting(index: int) -> Any:
    from tokenizers import processors

    end = "<|endoftext|>"
    return processors.TemplateProcessing(
        single=f"{end} $A", pair=f"{end} $A $B", special_tokens=[(end, index)]
    )


def test_the_help_names_both_options_under_their_topics() -> None:
    page = attn("inspect", "--help").out
    reading, model = page.index("What to read"), page.index("Which model")
    assert reading < page.index("--no-special") < model < page.index("--tokenizer")


@pytest.mark.parametrize("more", [(), ("--no-special",)])
def test_verify_compares_the_ids_of_the_chosen_tokenizer(
    bare: Path, twins: Path, more: tuple[str, ...]
) -> None:
    told: tuple[str | Path, ...] = ("verify", "the cat", "-m", bare, "--json", *more)
    answer = attn(*told, "--tokenizer", twins / "bert")
    assert answer.document["ids"] == {"compared": True}
    alone = attn(*told, "--tokenizer", twins / "bert" / "tokenizer.json")
    unknown = "the tokenizer is a file on its own, which AutoTokenizer does not read"
    assert alone.document["ids"] == {"compared": False, "unknown": unknown}


def test_verify_finds_ids_that_differ(twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from attn_cli.models.tokens import agreement

    monkeypatch.setattr(agreement, "_has_words", lambda *_: True)  # the normaliser is not compared
    directory = Path(shutil.copytree(twins / "bert", tmp_path / "copy"))
    cased = '{"tokenizer_class": "BertTokenizer", "do_lower_case": false}'
    (directory / "tokenizer_config.json").write_text(cased)
    answer = attn("verify", "THE cat", "-m", directory)
    assert answer.status == 3
    assert "the token ids differ from AutoTokenizer's at position 1: 5 ('the'), not" in answer.err
