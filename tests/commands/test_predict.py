"""`attn tokens --predict`: what a model expects at each place of a text."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import numpy.typing as npt
import pytest
import safetensors.torch
import torch

from tests.support.language_models import MASKED, NEXT, TARGETED, reference_logits, texts_of
from tests.support.worlds import attn, attn_in_terminal, refused

TEXT = "the cat sat on the mat"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    found: dict[str, Path] = {}

    def directory(name: str) -> Path:
        if name not in found:
            recipe = {**NEXT, **TARGETED, **{f"{key}, masked": each for key, each in MASKED.items()}}[name]
            found[name] = recipe.save(tmp_path_factory.mktemp("head"))
        return found[name]

    return directory


def probabilities(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    found: npt.NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return found


def test_each_place_has_its_likeliest_next_tokens_and_the_one_that_follows() -> None:
    text = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"
    assert attn("tokens", text, "--predict", "3", "--rows", "0,11,12,-1").out == (
        "position  token  next  rank  prob.  likeliest next\n"
        "       0  <s>    T      495  3e-04  , 0.039  . 0.031  the 0.028\n"
        "      11  Th     umb      1  0.875  umb 0.875  und 0.026  ird 0.011\n"
        "      12  umb    went     1  0.075  went 0.075  had 0.071  's 0.067\n"
        "      18  Tom                       Th 0.663  B 0.028  could 0.018\n"
    )


def test_the_next_token_of_the_known_example_has_its_known_logit() -> None:
    text = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"
    (found,) = attn("tokens", text, "--predict", "1", "--rows", "-1", "--json").document["predictions"]
    assert (found["text"], found["position"], found["predicts"]) == (" Th", 18, 19)
    assert found["logit"] == pytest.approx(8.6386, abs=1e-4)  # by a script of its own in float64


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama", "gemma2", "bart", "bert, masked"])
def test_json_has_the_numbers_of_transformers(name: str, saved: Callable[[str], Path]) -> None:
    from attn_cli.models.open import open_checkpoint
    from tests.support.reference import NUMPY

    directory, count = saved(name), 4
    text = "the [MASK] sat on the [MASK]" if "masked" in name else TEXT
    target = ("--target", "a mat") if name == "bart" else ()
    document = attn("tokens", text, *target, "-m", directory, "--predict", str(count), "--json").document
    jsonschema.Draft202012Validator(json.loads(attn("inspect", "--json-schema").out)).validate(document)
    texts = texts_of(open_checkpoint("twin", directory, NUMPY), text, "a mat")
    recipe = {**NEXT, **TARGETED, "bert, masked": MASKED["bert"]}[name]
    logits = reference_logits(directory, recipe.model, texts)
    tokens = texts.target or texts.tokens
    rows = [token.position for token in tokens if "masked" not in name or token.piece == "[MASK]"]
    assert list(dict.fromkeys(each["position"] for each in document["predictions"])) == rows
    for row in rows:
        found = [each for each in document["predictions"] if each["position"] == row]
        expected = np.argsort(-logits[row], kind="stable")[:count]
        assert [each["id"] for each in found[:count]] == expected.tolist()
        assert [each["rank"] for each in found[:count]] == [1, 2, 3, 4]
        for each in found:
            assert each["logit"] == pytest.approx(logits[row, each["id"]], rel=1e-4, abs=1e-4)
            assert each["probability"] == pytest.approx(probabilities(logits)[row, each["id"]], rel=1e-3)
            assert each["rank"] == 1 + (logits[row] > logits[row, each["id"]]).sum()
        following = [each["id"] for each in found if each["actual"]]
        is_last = row + 1 == len(tokens) or "masked" in name
        assert following == ([] if is_last else [tokens[row + 1].id])


@pytest.mark.slow
def test_a_masked_model_fills_in_what_is_masked(saved: Callable[[str], Path]) -> None:
    line = ("tokens", "the [MASK] sat", "-m", saved("bert, masked"), "--predict", "2")
    heading, row = attn(*line).out.splitlines()
    assert heading == "position  token   rank  prob.  likeliest in its place"
    assert row.startswith("       2  [MASK]               ")
    assert len(attn(*line, "--rows", "all").out.splitlines()) == 6
    found = attn(*line, "--rows", "=the", "--json").document["predictions"]
    assert {(each["position"], each["predicts"]) for each in found} == {(1, 1)}
    assert [each["text"] for each in found if each["actual"]] == ["the"]


@pytest.mark.slow
def test_a_text_without_a_masked_token_is_refused(saved: Callable[[str], Path]) -> None:
    directory = saved("bert, masked")
    answer = attn("tokens", "the cat sat", "-m", directory, "--predict", "2")
    problem = f"the text has no masked token: {directory.name} predicts what stands at [MASK]"
    assert refused(answer) == (2, problem, "[MASK] in place of a word, or --rows TOKENS")


@pytest.mark.slow
def test_the_masked_token_is_the_one_that_the_files_name(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    for file in saved("bert, masked").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = {"mask_token": {"content": "[UNK]"}, "tokenizer_class": "PreTrainedTokenizerFast"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    found = attn("tokens", "the € [MASK]", "-m", tmp_path, "--predict", "1", "--json").document
    assert [each["position"] for each in found["predictions"]] == [2]


@pytest.mark.slow
def test_a_decoder_without_a_text_predicts_its_first_token(saved: Callable[[str], Path]) -> None:
    found = attn("tokens", TEXT, "-m", saved("t5"), "--predict", "2", "--json").document
    assert found["target"] == ""
    assert [token["id"] for token in found["target_tokens"]] == [0]
    assert [(each["position"], each["rank"]) for each in found["predictions"]] == [(0, 1), (0, 2)]


@pytest.mark.slow
def test_rows_of_an_encoder_decoder_model_are_those_of_its_decoder(saved: Callable[[str], Path]) -> None:
    line = ("tokens", TEXT, "--target", "a mat", "-m", saved("bart"), "--predict", "1")
    problem, hint = "row 90 does not exist: the decoder's text has 2 tokens, numbered 0 to 1", "--rows 1"
    assert refused(attn(*line, "--rows", "90")) == (2, problem, hint)


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        (("--predict", "0"), "--predict takes a whole number of at least 1, not '0'", "--predict 1"),
        (("--predict", "x"), "--predict takes a whole number of at least 1, not 'x'", "--predict 1"),
        (
            ("--predict", "4097"),
            "--predict 4097 is more than the vocabulary of storybook: 4,096 tokens",
            "--predict 4096",
        ),
        (
            ("--predict", "5", "--rows", "99"),
            "row 99 does not exist: the text has 6 tokens, numbered 0 to 5",
            "--rows 5",
        ),
        (("--dtype", "float16"), "--dtype applies only with --predict", "--predict 5 --dtype float16"),
        (("--rows", "-1"), "--rows applies only with --predict", "--predict 5 --rows -1"),
    ],
)
def test_wrong_usage_is_an_error(options: tuple[str, ...], problem: str, hint: str) -> None:
    assert refused(attn("tokens", "Once upon a time", *options)) == (2, problem, hint)


def test_a_random_layer_predicts_nothing() -> None:
    problem = "random predicts no tokens: it is an attention layer without a language head"
    answer = attn("tokens", "the cat", "-m", "random", "--predict", "3")
    assert refused(answer) == (1, problem, "leave out -m random, or name a language model")


def test_the_whole_vocabulary_can_be_listed() -> None:
    found = attn("tokens", "Once", "--predict", "4096", "--rows", "-1", "--json").document["predictions"]
    assert sum(each["probability"] for each in found) == pytest.approx(1, abs=1e-6)
    assert sorted(each["id"] for each in found) == list(range(4096))
    logits = [each["logit"] for each in found]
    assert logits == sorted(logits, reverse=True)


def test_a_narrow_terminal_has_the_likeliest_below_each_place() -> None:
    out = attn_in_terminal("tokens", "Once upon", "--predict", "4", COLUMNS="40").out
    first, second, *_ = out.splitlines()
    assert first.startswith("0 <s>, next ")
    assert second.startswith("    ")
    assert all(len(line) <= 40 for line in out.splitlines())


@pytest.mark.parametrize("columns", [20, 40, 59, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    out = attn_in_terminal("tokens", "Once upon a time", "--predict", "9", COLUMNS=str(columns)).out
    assert max(map(len, out.splitlines())) <= columns
    assert out.count(" 0.") >= 9 * 3  # nothing is left out


@pytest.mark.slow
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_logit_that_is_not_finite_is_an_error(
    number: float, saved: Callable[[str], Path], tmp_path: Path
) -> None:
    directory = spoiled(saved("llama"), tmp_path, lambda tensors: tensors["lm_head.weight"][7].fill_(number))
    answer = attn("tokens", TEXT, "-m", directory, "--predict", "3", "--rows", "2")
    found = f"not a finite number in the logits of {directory.name} at token 2: {{}}"
    status, problem, hint = refused(answer)
    assert (status, hint) == (1, "--dtype float32 or float64")
    assert problem in {found.format("nan"), found.format("inf")}


def spoiled(directory: Path, into: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> Path:
    """A copy of the model with other weights."""
    for file in directory.iterdir():
        (into / file.name).write_bytes(file.read_bytes())
    tensors = safetensors.torch.load_file(into / "model.safetensors")
    change(tensors)
    safetensors.torch.save_file(tensors, into / "model.safetensors", {"format": "pt"})
    return into


@pytest.mark.slow
def test_a_logit_of_minus_infinity_has_probability_0(saved: Callable[[str], Path], tmp_path: Path) -> None:
    def rule_out(tensors: dict[str, torch.Tensor]) -> None:
        tensors["final_logits_bias"][0, 9] = -torch.inf

    directory = spoiled(saved("bart"), tmp_path, rule_out)
    line = ("tokens", TEXT, "--target", "a mat", "-m", directory, "--predict", "300", "--json")
    document = attn(*line).document
    jsonschema.Draft202012Validator(json.loads(attn("inspect", "--json-schema").out)).validate(document)
    found = [each for each in document["predictions"] if each["id"] == 9]
    assert {(each["logit"], each["probability"], each["rank"]) for each in found} == {(None, 0, 300)}


HOSTILE = ("[/bold]", "<script>", "a\x1b[31mb", "a\u202eb", "\n", "  ")


@pytest.mark.slow
def test_no_predicted_token_controls_the_terminal(saved: Callable[[str], Path], tmp_path: Path) -> None:
    directory = spoiled(saved("bert, masked"), tmp_path, lambda _tensors: None)
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    pieces = tokenizer["model"]["vocab"]
    for text, index in zip(HOSTILE, range(20, 80), strict=False):
        (old,) = (piece for piece, number in pieces.items() if number == index)
        del pieces[old]
        pieces[text] = index
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    line = ("tokens", "the [MASK] sat", "-m", directory, "--predict", "80")
    for out in (attn(*line).out, attn_in_terminal(*line, COLUMNS="40").out):
        assert all(character.isprintable() for part in out.splitlines() for character in part)
        assert "[/bold] " in out
        assert "\\x1b[31mb" in out
    texts = [each["text"] for each in attn(*line, "--json").document["predictions"]]
    assert set(HOSTILE) < set(texts)


@pytest.mark.slow
def test_a_padded_vocabulary_has_tokens_without_a_text(saved: Callable[[str], Path]) -> None:
    answer = attn("tokens", "the", "-m", saved("llama"), "--predict", "310", "--rows", "0", "--json")
    without = [each["id"] for each in answer.document["predictions"] if not each["text"]]
    assert without
    assert f"(id {without[0]}) " in attn("tokens", "the", "-m", saved("llama"), "--predict", "310").out


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_number_formats_predict_the_same(dtype: str) -> None:
    line = ("tokens", "Tom Thumb went to sea, and Tom Thumb", "--predict", "1", "--rows", "-1", "--json")
    (plain,), (found,) = (attn(*line, *more).document["predictions"] for more in ((), ("--dtype", dtype)))
    assert found["id"] == plain["id"]
    assert found["logit"] == pytest.approx(plain["logit"], rel=0.02)  # bfloat16 has 8 bits


def test_tokens_alone_need_no_device() -> None:
    assert attn("tokens", "the cat", ATTN_DEVICE="cuda:99").status == 0


def test_tokens_alone_need_no_weights(twins: Path, tmp_path: Path) -> None:
    for file in (twins / "gpt2").iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    assert attn("tokens", "the cat", "-m", tmp_path).status == 0
    assert attn("tokens", "the cat", "-m", tmp_path, "--predict", "1").status == 1
