"""`attn verify` and `attn inspect --verify`: comparison with Hugging Face's eager attention."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import safetensors.numpy
import transformers
from safetensors.torch import load_file, save_file

from attn_cli.console import World
from attn_cli.models.bridge.reference import EagerModel
from attn_cli.models.files.config import Config
from attn_cli.models.native import families
from attn_cli.models.native.spec import Spec
from tests.support.families import TRANSLATORS
from tests.support.twins import RECIPES, byte_level, save_tokenizer
from tests.support.worlds import attn, refused

TEXT = "the cat sat on the mat"


@pytest.fixture
def without_its_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break our own code: no model is causal."""
    read_spec = families.read_spec

    def crippled(config: Config, **how: bool | None) -> Spec:
        return replace(read_spec(config, **how), is_causal=False)

    monkeypatch.setattr(families, "read_spec", crippled)


def test_every_layer_is_listed_and_passes(twins: Path) -> None:
    found = attn("verify", TEXT, "-m", twins / "gpt2")
    assert (found.status, found.err) == (0, "")
    lines = found.out.splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [
        ["kind", "layer"],
        ["self", "0"],
        ["self", "1"],
        ["self", "2"],
    ]
    assert lines[5].startswith("largest difference: ")
    said = (
        r" rounding explains up to \S+ \(.*: eager attention in float32 differs from float64 by \S+ here\)$"
    )
    assert re.search(said, " ".join(found.out.splitlines()))


def test_a_pipe_with_a_text_is_read(twins: Path) -> None:
    found = attn("verify", "-m", twins / "llama", "--json", stdin="the cat sat\n")
    assert found.document["text"] == "the cat sat"
    assert "texts" not in found.document
    remark = "the text is read from standard input; for the built-in ones: attn verify < /dev/null\n"
    assert found.err == remark


def test_a_pipe_that_stays_silent_is_not_waited_for(twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "has_input", lambda *_: False)
    found = attn("verify", "-m", twins / "llama", "--json", stdin="the cat")
    assert len(found.document["texts"]) == 5
    remark = "standard input is open but sends nothing, so it is not read; use - to wait for a text\n"
    assert found.err == remark


def test_without_a_text_five_built_in_ones_are_read(twins: Path) -> None:
    found = attn("verify", "-m", twins / "llama", "--json")
    schema = json.loads(attn("inspect", "--json-schema").out)
    jsonschema.validate(found.document, schema)
    assert found.document["passed"] is True
    assert len(found.document["texts"]) == 5
    assert found.document["text"] == found.document["texts"][0]
    assert [layer["layer"] for layer in found.document["layers"]] == [0, 1, 2]
    assert all(0 <= layer["output"] < 1e-4 for layer in found.document["layers"])
    assert found.document["largest"] == max(
        max(layer["weights"], layer["output"]) for layer in found.document["layers"]
    )


def test_a_translator_is_compared_in_every_kind(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    found = attn("verify", TEXT, "-m", tmp_path, "--json").document
    assert [(layer["kind"], layer["layer"]) for layer in found["layers"]] == [
        *(("encoder", layer) for layer in range(3)),
        *(("decoder", layer) for layer in range(2)),
        *(("cross", layer) for layer in range(2)),
    ]
    assert all(layer["output"] is not None for layer in found["layers"])
    only = attn("verify", TEXT, "--target", "the mat", "--kind", "cross", "-m", tmp_path, "--json").document
    assert {layer["kind"] for layer in only["layers"]} == {"cross"}


@pytest.mark.parametrize(("given", "read"), [((), "5 texts"), ((TEXT,), "6 tokens")])
def test_the_headline_says_how_much_was_read_and_no_single_kind(
    given: tuple[str, ...], read: str, tmp_path: Path
) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    headline = attn("verify", *given, "-m", tmp_path).out.partition("\nkind")[0]
    assert read in headline
    assert "attention" not in headline


@pytest.mark.usefixtures("without_its_mask")
def test_a_wrong_number_is_status_3(twins: Path) -> None:
    found = attn("verify", TEXT, "-m", twins / "gpt2", "--json")
    assert found.status == 3
    assert found.document["passed"] is False
    problem, hint = found.err.splitlines()
    pattern = (
        r"attn: self layer 0 differs from eager attention by \S+, more than the \S+ that rounding explains"
    )
    assert re.fullmatch(pattern, problem)
    assert hint == "try: do not trust these numbers; please report it with the name of the model"


@pytest.mark.usefixtures("without_its_mask")
def test_inspect_shows_the_numbers_and_then_reports_the_difference(twins: Path) -> None:
    found = attn("inspect", TEXT, "-m", twins / "gpt2", "--heads", "1.0", "--verify")
    assert found.status == 3
    assert "weights 1.0" in found.out
    assert "self layer 1 differs from eager attention" in found.err


def test_inspect_verifies_the_layers_that_it_shows(twins: Path) -> None:
    found = attn("inspect", TEXT, "-m", twins / "gpt2", "--heads", "0.1,2.3", "--verify", "--json")
    assert found.status == 0
    jsonschema.validate(found.document, json.loads(attn("inspect", "--json-schema").out))
    assert [layer["layer"] for layer in found.document["verification"]["layers"]] == [0, 2]
    assert found.err.startswith("largest difference: ")


def test_a_random_layer_has_no_reference() -> None:
    status, problem, hint = refused(attn("verify", TEXT, "-m", "random"))
    assert (status, hint) == (1, "attn verify -m MODEL")
    assert problem == "random cannot be verified: there is no other implementation to compare with"


def test_a_mask_that_is_overruled_has_no_reference(twins: Path) -> None:
    answer = attn("inspect", TEXT, "-m", twins / "gpt2", "--no-causal", "--heads", "0.0", "--verify", "-q")
    problem = "a model whose mask is overridden cannot be verified: transformers uses the model's own"
    assert refused(answer)[:2] == (2, problem)


def test_half_precision_may_differ_by_its_rounding(twins: Path) -> None:
    found = attn("verify", TEXT, "-m", twins / "bert", "--dtype", "bfloat16", "--json").document
    assert found["passed"] is True
    assert found["largest"] > 1e-4  # it is half precision
    assert found["tolerance"] <= 0.5
    assert "eager attention in bfloat16 differs from float32 by" in found["reason"]


def test_without_a_target_a_decoder_reads_the_text(tmp_path: Path) -> None:
    TRANSLATORS["bart"].save(tmp_path)
    found = attn("verify", TEXT, "--kind", "cross", "-m", tmp_path, "--json")
    assert found.status == 0
    assert {layer["kind"] for layer in found.document["layers"]} == {"cross"}


def test_a_kind_that_the_model_lacks_is_refused(twins: Path) -> None:
    status, problem, hint = refused(attn("verify", TEXT, "-m", twins / "bert", "--kind", "cross"))
    assert (status, hint) == (2, "--kind self")
    assert problem == "bert has no cross attention: it has self"


def test_a_reference_that_lacks_weights_is_none(tmp_path: Path) -> None:
    """transformers initialises missing weights at random, and would differ from itself."""
    config = transformers.Starcoder2Config(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
    )
    transformers.Starcoder2Model(config).save_pretrained(tmp_path)
    save_tokenizer(byte_level(), tmp_path)
    assert attn("verify", TEXT, "-m", tmp_path).status == 0
    file = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load_file(file)
    del tensors["layers.1.self_attn.q_proj.weight"]
    safetensors.numpy.save_file(tensors, file, {"format": "pt"})
    for command in ("verify", "inspect"):
        status, problem, _ = refused(attn(command, TEXT, "-m", tmp_path))
        assert status == 1
        assert problem == f"the tensor layers.1.self_attn.q_proj.weight is missing from {tmp_path}"


def test_a_reference_that_is_not_finite_is_not_blamed_on_us(tmp_path: Path) -> None:
    RECIPES["llama"].save(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.1.self_attn.q_proj.weight"][3, 5] = float("nan")
    save_file(tensors, file, metadata={"format": "pt"})
    problem = f"eager attention itself is not finite: self layer 1 of {tmp_path.name} in float32"
    assert refused(attn("verify", TEXT, "-m", tmp_path)) == (
        1,
        problem,
        "check the weights for NaN and infinities",
    )


def test_float16_that_overflows_in_the_reference_too_is_said(tmp_path: Path) -> None:
    RECIPES["llama"].save(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    tensors["model.layers.0.mlp.down_proj.weight"] *= 1e6
    save_file(tensors, file, metadata={"format": "pt"})
    _, problem, hint = refused(attn("verify", TEXT, "-m", tmp_path, "--dtype", "float16"))
    assert problem.startswith("eager attention itself is not finite: self layer 1 of ")
    assert hint == "--dtype float32"


def test_attentions_that_are_no_weights_are_named(twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = EagerModel.attention_of

    def scores(self: EagerModel, *asked: Any) -> Any:  # SqueezeBERT's are before the softmax
        found = compute(self, *asked)
        return {
            kind: replace(each, weights={layer: 3 * weights for layer, weights in each.weights.items()})
            for kind, each in found.items()
        }

    monkeypatch.setattr(EagerModel, "attention_of", scores)
    problem = (
        "what transformers calls attentions of bert are not softmax weights: a row of self layer 0 sums to 3"
    )
    assert refused(attn("verify", TEXT, "-m", twins / "bert"))[:2] == (1, problem)
