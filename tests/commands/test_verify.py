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
from attn_cli.core import attention as core_attention
from attn_cli.core import multihead
from attn_cli.models.bridge.reference import EagerModel
from attn_cli.models.files.config import Config
from attn_cli.models.native import checkpoint, families
from attn_cli.models.native.spec import Spec
from attn_cli.models.source import Precision
from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.vocabulary import Check, DType, Kind
from tests.support.every_language_model import language_twin
from tests.support.families import TRANSLATORS
from tests.support.twins import RECIPES, Recipe, byte_level, save_tokenizer
from tests.support.worlds import attn, refused

TEXT = "the cat sat on the mat"
NINE = ("queries", "keys", "values", "scores", "mask", "weights", "context", "heads", "output")


@pytest.fixture
def without_its_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break our own code: no model is causal."""
    read_spec = families.read_spec

    def crippled(config: Config, **how: bool | None) -> Spec:
        return replace(read_spec(config, **how), is_causal=False)

    monkeypatch.setattr(families, "read_spec", crippled)


def test_every_step_of_every_layer_is_listed_and_passes(twins: Path) -> None:
    found = attn("verify", TEXT, "-m", twins / "gpt2")
    assert (found.status, found.err) == (0, "")
    lines = found.out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    names = ["layer", *NINE]
    assert lines[1].split() == names
    for layer, line in enumerate(lines[2:5]):
        cells = line.split()
        assert (cells[0], cells[5], len(cells)) == (str(layer), "0", len(names))
        assert all(re.fullmatch(r"\de-\d\d", cell) for cell in (*cells[1:5], *cells[6:]))
    said = (
        r"largest difference: \S+, in the [a-z ]+ of self layer \d; rounding explains up to \S+ "
        r"\(.*: eager attention in float32 differs from float64 by \S+ here\)"
    )
    assert re.fullmatch(said, lines[5])


def test_a_wide_terminal_shows_input_and_logits_too(twins: Path) -> None:
    lines = attn("verify", TEXT, "-m", twins / "gpt2", COLUMNS="102").out.splitlines()
    assert lines[1].split() == ["layer", "input", *NINE[:2], "kv_heads", *NINE[2:5], "logits", *NINE[5:]]
    narrower = attn("verify", TEXT, "-m", twins / "gpt2", COLUMNS="101").out.splitlines()
    assert narrower[1].split() == ["layer", *NINE]


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
    compared = [check.value for check in Check if not check.is_counted]
    assert found.document["largest"] == max(
        layer[name] for layer in found.document["layers"] for name in compared
    )
    assert set(found.document["tolerances"]) == {check.value for check in Check}
    assert found.document["tolerance"] == max(found.document["tolerances"].values()) <= 1e-3
    assert found.document["ids"] == {"compared": True}


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
    out = attn("verify", *given, "-m", tmp_path).out
    headline = out.partition("\n\nencoder\nlayer")[0]
    assert read in headline
    assert "attention" not in headline
    assert [line for line in out.splitlines() if line in {*Kind}] == ["encoder", "decoder", "cross"]


@pytest.mark.usefixtures("without_its_mask")
def test_a_wrong_number_is_status_3(twins: Path) -> None:
    found = attn("verify", TEXT, "-m", twins / "gpt2", "--json")
    assert found.status == 3
    assert found.document["passed"] is False
    problem, hint = found.err.splitlines()
    assert problem == (
        "attn: the mask of self layer 0 differs from eager attention's in 60 cells: "
        "first at head 0, row 0, key 1"
    )
    assert hint == "try: do not trust these numbers; please report it with the name of the model"


@pytest.mark.usefixtures("without_its_mask")
def test_inspect_shows_the_numbers_and_then_reports_the_difference(twins: Path) -> None:
    found = attn("inspect", TEXT, "-m", twins / "gpt2", "--heads", "1.0", "--verify")
    assert found.status == 3
    assert "weights 1.0" in found.out
    assert "the input of self layer 1 differs from eager attention by " in found.err


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


def test_half_precision_is_compared_in_float32_with_rounded_weights(twins: Path) -> None:
    found = attn("verify", TEXT, "-m", twins / "bert", "--dtype", "bfloat16", "--json")
    jsonschema.validate(found.document, json.loads(attn("inspect", "--json-schema").out))
    assert found.status == 0
    assert found.document["dtype"] == "bfloat16"
    assert found.document["largest"] < 1e-5
    assert found.document["tolerance"] < 1e-4
    assert found.document["half"]["ours"] > 1e-3  # it is half precision that ran too
    remark = (
        r"compared in float32 with rounded weights; half precision moves a weight by \S+ in attn and \S+ in "
    )
    assert re.match(remark, found.err)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_a_scale_off_by_one_percent_is_found_in_every_number_format(
    twins: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    attention = multihead.MultiHeadAttention.operands

    def scaled(self: Any, *given: Any) -> Any:
        operands = attention(self, *given)
        return replace(operands, scale=1.01 * operands.scale)

    monkeypatch.setattr(multihead.MultiHeadAttention, "operands", scaled)
    found = attn("verify", TEXT, "-m", twins / "bert", "--dtype", dtype, "-q")
    assert found.status == 3
    assert found.err.startswith(
        "attn: the scores of self layer 0 differ from eager attention by 1.0e-02, more"
    )


def test_half_precision_that_rounds_more_than_the_reference_is_status_3(
    twins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = core_attention.masked

    def coarse(scores: Any, mask: Any) -> Any:
        return masked(scores.round() if "float16" in str(scores.dtype) else scores, mask)

    monkeypatch.setattr(core_attention, "masked", coarse)
    found = attn("verify", TEXT, "-m", twins / "bert", "--dtype", "float16", "-q")
    assert found.status == 3
    pattern = r"attn: half precision moves a weight by \S+, but that of eager attention only by \S+"
    assert re.fullmatch(pattern, found.err.splitlines()[0])


def test_float64_is_judged_in_float64(twins: Path) -> None:
    found = attn("verify", "-m", twins / "llama", "--dtype", "float64", "--json").document
    assert (found["passed"], found["tolerance"]) == (True, 1e-10)
    assert found["largest"] < 1e-12  # RoPE, RMSNorm and softmax of transformers are float64 too


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_reference_that_masks_with_the_smallest_float64_runs(dtype: str, tmp_path: Path) -> None:
    """XGLM makes it as float32, in which it has no room: transformers' own float64 fails."""
    language_twin("xglm", tmp_path)
    assert attn("verify", TEXT, "-m", tmp_path, "--dtype", dtype).status == 0


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


def test_t5_keeps_in_float32_what_overflows_in_float16(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    for name in (each for each in tensors if each.endswith("DenseReluDense.wo.weight")):
        tensors[name] *= 2e4  # its products with the inner vectors are above 65,504
    save_file(tensors, file, metadata={"format": "pt"})
    found = attn("verify", TEXT, "-m", tmp_path, "--dtype", "float16", "--json")
    assert found.status == 0
    assert found.document["half"]["ours"] < 0.1


def test_attentions_that_are_no_weights_are_named(twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = EagerModel.attention_of

    def scores(self: EagerModel, *asked: Any) -> Any:  # SqueezeBERT's are before the softmax
        found = compute(self, *asked)
        return {
            kind: {
                layer: replace(each, steps={**each.steps, Check.WEIGHTS: 3 * each.steps[Check.WEIGHTS]})
                for layer, each in layers.items()
            }
            for kind, layers in found.items()
        }

    monkeypatch.setattr(EagerModel, "attention_of", scores)
    problem = (
        "what transformers calls attentions of bert are not softmax weights: a row of self layer 0 sums to 3"
    )
    assert refused(attn("verify", TEXT, "-m", twins / "bert"))[:2] == (1, problem)


def test_a_reference_that_raises_is_named(twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(transformers.BertModel, "forward", broken)
    status, problem, _ = refused(attn("verify", TEXT, "-m", twins / "bert"))
    expected = "transformers cannot run the model: RuntimeError: mat1 and mat2 shapes cannot be multiplied"
    assert (status, problem) == (1, expected)


def test_steps_that_the_reference_does_not_call_are_unknown(tmp_path: Path) -> None:
    """BLOOM with `slow_but_exact` multiplies slices of W^O, so that its module never runs."""
    config = transformers.BloomConfig(
        vocab_size=300, hidden_size=32, n_layer=2, n_head=4, pretraining_tp=2, slow_but_exact=True
    )
    Recipe("BloomModel", config, 1.9).save(tmp_path)
    found = attn("verify", TEXT, "-m", tmp_path, "--json")
    assert found.status == 0
    why = "transformers does not call W^O as a module in this layer"
    for layer in found.document["layers"]:
        assert layer["unknown"] == {"context": why, "head_outputs": why, "output": why}
        assert layer["output"] is None
        assert layer["values"] is not None
    assert found.err == f"not compared: context, outputs of the heads, output: {why}\n"


def test_a_reference_that_rounds_too_much_is_refused(twins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = EagerModel.attention_of

    def coarse(self: EagerModel, texts: Any, kinds: Any, precision: Precision, *rest: Any) -> Any:
        found = compute(self, texts, kinds, precision, *rest)
        if precision.dtype is DType.FLOAT64:
            for each in found[Kind.SELF].values():
                each.steps[Check.SCORES][0, 0, 0] *= 1 + 1e-2
        return found

    monkeypatch.setattr(EagerModel, "attention_of", coarse)
    status, problem, hint = refused(attn("verify", TEXT, "-m", twins / "bert"))
    pattern = (
        r"eager attention of bert is not accurate enough to compare with: its scores in float32 "
        r"differ from float64 by \S+"
    )
    assert re.fullmatch(pattern, problem)
    assert (status, hint) == (1, "--dtype float64")


def test_tokens_that_differ_from_autotokenizer_are_found_before_any_weight(
    twins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = FastTokenizer.__call__

    def other(self: FastTokenizer, text: str, pair: str | None = None) -> Any:
        tokens = split(self, text, pair)
        return (*tokens[:2], replace(tokens[2], id=7), *tokens[3:])

    monkeypatch.setattr(FastTokenizer, "__call__", other)
    status, problem, hint = refused(attn("verify", TEXT, "-m", twins / "bert"))
    assert problem == "the token ids differ from AutoTokenizer's at position 2: 7 ('cat'), not 6"
    assert (status, hint) == (3, "do not trust these numbers; please report it with the name of the model")


def test_segments_that_differ_from_autotokenizer_are_found(
    twins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = FastTokenizer.__call__

    def one_segment(self: FastTokenizer, text: str, pair: str | None = None) -> Any:
        return tuple(replace(token, segment=0) for token in split(self, text, pair))

    monkeypatch.setattr(FastTokenizer, "__call__", one_segment)
    status, problem, _ = refused(attn("verify", "the cat", "--pair", "sat", "-m", twins / "bert"))
    assert (status, problem) == (
        3,
        "the segments differ from AutoTokenizer's at position 4: 0 ('sat'), not 1",
    )


def test_a_decoder_that_reads_other_tokens_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TRANSLATORS["bart"].save(tmp_path)
    monkeypatch.setattr(checkpoint, "shift_right", lambda _start, tokens: tuple(tokens))
    status, problem, _ = refused(attn("verify", TEXT, "-m", tmp_path))
    assert status == 3
    assert problem.startswith("the decoder's token ids differ from AutoTokenizer's at position 0: ")


def test_a_tokenizer_that_autotokenizer_cannot_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RECIPES["bert"].save(tmp_path)

    def refuse(*_given: object, **_words: object) -> None:
        raise ValueError("no such class")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuse)
    found = attn("verify", TEXT, "-m", tmp_path, "--json")
    assert found.status == 0
    assert found.document["ids"]["compared"] is False
    assert found.err.startswith(f"the token ids are not compared: AutoTokenizer cannot read {tmp_path}: ")
