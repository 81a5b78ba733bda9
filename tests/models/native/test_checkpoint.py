"""A directory as a source: tokens, and the attention of each layer, as in transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers import processors

from attn_cli.errors import AttnError
from attn_cli.models.native import transformer
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Card, Source, SourceRequest, Texts
from attn_cli.vocabulary import Kind
from tests.support.families import TRANSLATORS
from tests.support.reference import NUMPY, inputs_of, reference_of, weights_of
from tests.support.twins import PAIR, TEXTS, Save, minilm
from tests.support.worlds import attn, refused

TOGETHER = "check that config.json and the weights belong to the same model"


def change(directory: Path, **values: Any) -> None:
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def source(directory: Path) -> Source:
    return open_checkpoint("twin", directory, NUMPY)


def test_from_a_text_to_the_weights_of_transformers() -> None:
    directory = minilm()
    model = open_checkpoint("MiniLM", directory, NUMPY)
    layers = list(model.attentions(Texts(model.tokens(*PAIR)), Kind.SELF, range(6)))
    expected = reference_of(directory, inputs_of(directory, *PAIR)).weights
    assert model.card == Card("MiniLM", "bert", 6, 12, 12, 32, 384)
    for layer, weights in zip(layers, expected, strict=True):
        np.testing.assert_allclose(weights_of(layer), weights, atol=1e-5)  # 1.4e-6 seen


@pytest.mark.parametrize(
    ("name", "takes_pairs", "is_causal", "longest", "is_bounded"),
    [("bert", True, False, 64, True), ("gpt2", False, True, 96, True), ("llama", False, True, 512, False)],
)
def test_a_source_says_what_it_can_read(
    name: str, takes_pairs: bool, is_causal: bool, longest: int, is_bounded: bool, save: Save
) -> None:
    found = source(save(name))
    assert (found.takes_pairs, found.is_causal) == (takes_pairs, is_causal)
    assert (found.longest, found.is_bounded) == (longest, is_bounded)
    assert found.backend is NUMPY


def test_a_layer_is_computed_on_demand(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    found = source(save("llama"))

    def broken(_: str) -> Any:
        raise AttnError("broken", "")

    monkeypatch.setattr(transformer, "find_activation", broken)  # the feed-forward of layer 0 cannot run
    layers = found.attentions(Texts(found.tokens(TEXTS[0], None)), Kind.SELF, range(3))
    assert next(layers).heads == 4
    with pytest.raises(AttnError, match=r"^broken$"):
        next(layers)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("bert", "encoder.layer.9999.attention.output.dense.weight"),
        ("gpt2", "h.9999.attn.c_proj.weight"),
        ("llama", "layers.9999.self_attn.o_proj.weight"),
    ],
)
def test_layers_that_the_file_lacks_are_refused(name: str, tensor: str, save: Save) -> None:
    directory = save(name)
    change(directory, **{"n_layer" if name == "gpt2" else "num_hidden_layers": 10_000})
    with pytest.raises(AttnError) as caught:
        source(directory).check()
    assert caught.value.problem == f"the tensor {tensor} is missing from {directory}"
    assert caught.value.hint == TOGETHER


OWN = {"AutoModel": "modeling_own.Model"}


def test_a_checkpoint_with_code_of_its_own_is_refused_and_runs_nothing(save: Save) -> None:
    directory = save("llama")
    change(directory, model_type="own", auto_map=OWN)
    (directory / "modeling_own.py").write_text("raise SystemExit")
    with pytest.raises(AttnError) as caught:
        source(directory)
    asks = f"{directory}/config.json needs the Python code that comes with the checkpoint"
    assert caught.value.problem == f"{asks}, and that code would run with your permissions"
    assert caught.value.hint == "--trust-remote-code, if you have read that code or trust its author"


def test_code_beside_a_known_family_does_not_run_and_a_remark_says_so(save: Save) -> None:
    directory = save("llama")
    change(directory, auto_map=OWN)
    (directory / "modeling_own.py").write_text("raise SystemExit")
    found = source(directory)
    found.check()
    assert found.engine == "native"
    assert found.remarks == (
        "twin comes with its own Python code, which was not run; --trust-remote-code runs it",
    )


@pytest.mark.parametrize("names", [{"AutoTokenizer": ["own.T", None]}, {}, None, "own.Model"])
def test_a_family_without_code_of_its_own_has_no_remark(save: Save, names: object) -> None:
    directory = save("llama")
    change(directory, auto_map=names)
    assert source(directory).remarks == ()
    trusting = open_checkpoint("twin", directory, NUMPY, request=SourceRequest(trusts_code=True))
    assert trusting.engine == "native"


def test_a_variant_that_is_not_native_needs_its_code(save: Save) -> None:
    directory = save("bert")
    change(directory, position_embedding_type="alibi", auto_map=OWN)  # Jina's embeddings v2
    with pytest.raises(AttnError, match="needs the Python code that comes with the checkpoint"):
        source(directory)


def test_trusted_code_is_accepted(save: Save) -> None:
    directory = save("llama")
    change(directory, model_type="own", auto_map=OWN)
    with pytest.raises(AttnError, match=r"^transformers cannot read the configuration in "):  # there is none
        open_checkpoint("twin", directory, NUMPY, request=SourceRequest(trusts_code=True))


def test_a_billion_heads_are_refused(save: Save) -> None:
    directory = save("llama")
    change(directory, num_attention_heads=10**9, num_key_value_heads=1, head_dim=1)
    with pytest.raises(AttnError) as caught:
        source(directory).check()
    place = f"layers.2.self_attn.o_proj.weight in {directory}/model.safetensors"
    assert caught.value.problem == f"the tensor {place} has the shape (32, 32), not (32, 1000000000)"


def test_a_vocabulary_of_another_size_is_noticed(save: Save) -> None:
    directory = save("llama")
    change(directory, vocab_size=10**12)
    found = source(directory)
    with pytest.raises(AttnError) as caught:
        next(found.attentions(Texts(found.tokens("the cat", None)), Kind.SELF, [0]))
    place = f"embed_tokens.weight in {directory}/model.safetensors"
    assert caught.value.problem == f"the tensor {place} has the shape (310, 32), not (1000000000000, 32)"
    assert caught.value.hint == TOGETHER


def test_a_token_beyond_the_vocabulary_is_named(save: Save) -> None:
    directory = save("bert")
    change(directory, vocab_size=6)
    with pytest.raises(AttnError) as caught:
        source(directory).tokens("the cat", None)
    assert caught.value.problem == "the token 'cat' has id 6, but the vocabulary has 6"
    assert (
        caught.value.hint
        == f"check that tokenizer.json and config.json in {directory} belong to the same model"
    )


def test_a_segment_that_the_model_lacks_is_named(save: Save) -> None:
    directory = save("bert")
    file = str(directory / "tokenizer.json")
    inner = tokenizers.Tokenizer.from_file(file)
    inner.post_processor = processors.TemplateProcessing(single="$A:2")
    inner.save(file)
    with pytest.raises(AttnError) as caught:
        source(directory).tokens("the", None)
    assert caught.value.problem == "the token 'the' is in segment 2, but there are 2"
    assert (
        caught.value.hint
        == f"check that tokenizer.json and config.json in {directory} belong to the same model"
    )


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("config.json", "{file} cannot be read: No such file or directory"),
        ("model.safetensors", "{directory} has no weights: neither model.safetensors nor pytorch_model.bin"),
        ("tokenizer.json", "{directory} has no tokenizer: neither tokenizer.json nor an older file"),
    ],
)
def test_a_directory_that_lacks_a_file_says_which(file: str, problem: str, save: Save) -> None:
    directory = save("gpt2")
    (directory / file).unlink()
    with pytest.raises(AttnError) as caught:
        source(directory).check()
    assert caught.value.problem == problem.format(file=directory / file, directory=directory)


@pytest.mark.parametrize(
    ("name", "longest", "is_bounded"),
    [("marian", 96, True), ("bart", 96, True), ("t5", None, False)],  # sinusoids, a table, distances
)
def test_a_translator_has_a_maximum_length(
    name: str, longest: int | None, is_bounded: bool, tmp_path: Path
) -> None:
    TRANSLATORS[name].save(tmp_path)
    translator = source(tmp_path)
    assert (translator.longest, translator.is_bounded) == (longest, is_bounded)


def test_a_text_beyond_the_last_sinusoid_is_refused(tmp_path: Path) -> None:
    TRANSLATORS["marian"].save(tmp_path)
    line = ("-m", tmp_path, "--heads", "0.0", "-s", "weights")
    count = len(source(tmp_path).tokens("the cat", None))
    fitting, longer = "the cat" + "\t" * (96 - count), "the cat" + "\t" * (97 - count)
    assert len(source(tmp_path).tokens(fitting, None)) == 96
    assert attn("inspect", fitting, *line).status == 0
    problem = f"the text is too long: 97 tokens, but {tmp_path.name} has 96 positions"
    hint = "shorten the text, or use a model with more positions"
    assert refused(attn("inspect", longer, *line)) == (1, problem, hint)
