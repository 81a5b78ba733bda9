"""A GGUF file equals the model it was converted from; and every way in which it can be invalid."""

import json
import shutil
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
import pytest
import tokenizers
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from transformers import AutoModel, LlamaForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from attn_cli.errors import AttnError
from attn_cli.models.files.weights import Weights
from attn_cli.models.gguf.file import read_gguf
from attn_cli.models.native.checkpoint_files import open_files
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source
from attn_cli.models.tokens.open import open_tokenizer
from tests.support.reference import NUMPY, every_weight_of, inputs_of, reference_of
from tests.support.twins import TEXTS, Save, byte_fallback, byte_level
from tests.support.worlds import attn

KIND = gguf.GGMLQuantizationType
WIDE: dict[str, Any] = {"attention.key_length": 20, "rope.dimension_count": 20}
CUTS = (
    "gpt-2, phi-2, llama-bpe, llama3, llama-v3, falcon3, pixtral, lfm2, qwen2, deepseek-r1-qwen, smollm, "
    "starcoder, tekken, gpt-4o, llama4, dbrx, smaug-bpe"
)
CHOOSE = "--tokenizer DIR, the model's directory in Hugging Face layout, with its tokenizer.json"
LAYOUT = "use the model's directory in Hugging Face layout"
PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "model.layers": "blk",
}

Numbers = npt.NDArray[Any]
Change = Callable[[gguf.GGUFWriter], object]


def permuted(tensor: Numbers, heads: int) -> Numbers:
    """Like `permute` in llama.cpp's `convert_hf_to_gguf.py`."""
    return (
        tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
        .swapaxes(1, 2)
        .reshape(tensor.shape)
    )


def written(
    directory: Path,
    *changes: Change,
    kind: KIND = KIND.F32,
    vocabulary: Change | None = None,
    without: str = "nothing",
    **metadata: Any,
) -> Path:
    """The Llama in the directory as a GGUF file, as llama.cpp's converter writes it."""
    file = directory / "small.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    numbers = {
        "embedding_length": 32,
        "block_count": 3,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
        "feed_forward_length": 48,
        "context_length": 512,
        "rope.dimension_count": 8,
    }
    for key, value in (numbers | metadata).items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-6)
    writer.add_float32("llama.rope.freq_base", 10000.0)
    (vocabulary or scored)(writer)
    for name, tensor in load_file(directory / "model.safetensors").items():
        new = name
        for old, part in PARTS.items():
            new = new.replace(old, part)
        if new != without:
            write(writer, new, permuted(tensor, heads(new)) if heads(new) else tensor, kind)
    for change in changes:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def heads(name: str) -> int:
    return {"attn_q": 4, "attn_k": 2}.get(name.rpartition(".")[0].rpartition(".")[2], 0)


def write(writer: gguf.GGUFWriter, name: str, tensor: Numbers, kind: KIND) -> None:
    """Norms and biases stay float32, as in llama.cpp, and so do rows that do not fit a block."""
    small = tensor.ndim == 1 or tensor.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] != 0
    chosen = KIND.F32 if small else kind
    writer.add_tensor(name, gguf.quants.quantize(tensor, chosen), raw_dtype=chosen)


def marked(writer: gguf.GGUFWriter, inner: tokenizers.Tokenizer) -> dict[str, int]:
    """The pieces and their kinds; the pieces by number."""
    numbered = dict(sorted(inner.get_vocab().items(), key=lambda item: item[1]))
    special = {index for index, token in inner.get_added_tokens_decoder().items() if token.special}
    writer.add_token_list(list(numbered))
    writer.add_token_types([3 if index in special else 1 for index in numbered.values()])
    return numbered


def scored(writer: gguf.GGUFWriter) -> None:
    """The twin's tokenizer as SentencePiece's: its merges are the later pieces, the first one best."""
    numbered = marked(writer, byte_fallback())
    writer.add_tokenizer_model("llama")
    writer.add_token_scores([-float(index) for index in numbered.values()])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def byte_letters(pre: str, *, begins: bool | None = None) -> Change:
    """A tokenizer like GPT-2's."""

    def change(writer: gguf.GGUFWriter) -> None:
        marked(writer, byte_level())
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre)
        writer.add_token_merges([" ".join(pair) for pair in merges_of(byte_level())])
        writer.add_bos_token_id(0)
        if begins is not None:
            writer.add_add_bos_token(begins)

    return change


def merges_of(inner: tokenizers.Tokenizer) -> list[list[str]]:
    found: list[list[str]] = json.loads(inner.to_str())["model"]["merges"]
    return found


def source(path: Path) -> Source:
    return open_checkpoint("small", path, NUMPY)


def refused(path: Path, problem: str, hint: str) -> None:
    with pytest.raises(AttnError) as caught:
        source(path).check()
    assert (caught.value.problem, caught.value.hint) == (problem, hint)


@pytest.fixture
def twin(save: Save) -> Path:
    return save("llama")


def test_a_gguf_file_gives_the_attention_of_its_original(twin: Path) -> None:
    found = source(written(twin))
    assert found.card == open_checkpoint("small", twin, NUMPY).card
    expected = reference_of(twin, inputs_of(twin, TEXTS[0])).weights
    for ours, weights in zip(every_weight_of(found, TEXTS[0]), expected, strict=True):
        np.testing.assert_allclose(ours, weights, atol=1e-5)  # 1.5e-6 seen


def test_a_gguf_file_is_probed_like_its_original_and_keeps_its_own_result(twin: Path) -> None:
    cache, file = str(twin / "cache"), written(twin)
    probed, original = (
        attn("heads", "--probe", "-m", model, "--json", ATTN_CACHE=cache).document for model in (file, twin)
    )
    for ours, theirs in zip(probed["heads"], original["heads"], strict=True):
        assert ours["induction"] == pytest.approx(theirs["induction"], abs=1e-5)  # as the weights above
    later = attn("heads", "the cat", "-m", file, "--json", ATTN_CACHE=cache).document
    assert later["names"] == probed["names"]
    with file.open("ab") as end:
        end.write(b"\0")
    assert attn("heads", "the cat", "-m", file, "--json", ATTN_CACHE=cache).document["names"] == {
        "from": "text"
    }


@pytest.mark.parametrize("kind", [KIND.Q8_0, KIND.Q4_0, KIND.F16, KIND.BF16])
def test_quantised_weights_are_what_transformers_makes_of_them(twin: Path, kind: KIND) -> None:
    file = written(twin, kind=kind)
    found = source(file)
    tokens = found.tokens(TEXTS[1], None)
    model = LlamaForCausalLM.from_pretrained(twin, attn_implementation="eager", dtype=torch.float32)
    load: Any = load_gguf_checkpoint
    model.load_state_dict(
        load(file, return_tensors=True, model_to_load=model)["tensors"]
    )  # all of from_pretrained(gguf_file=...) but the package accelerate
    with torch.no_grad():
        answer = model(torch.tensor([[token.id for token in tokens]]), output_attentions=True)
    for ours, theirs_ in zip(every_weight_of(found, TEXTS[1]), answer.attentions, strict=True):
        np.testing.assert_allclose(ours, theirs_[0].numpy(), atol=1e-5)


def test_biases_are_permuted_with_their_rows(save: Save) -> None:
    twin = save("llama, biases")
    expected = reference_of(twin, inputs_of(twin, TEXTS[0])).weights
    for ours, weights in zip(every_weight_of(source(written(twin)), TEXTS[0]), expected, strict=True):
        np.testing.assert_allclose(ours, weights, atol=1e-5)


def test_heads_may_have_any_size_and_rope_may_be_scaled(save: Save) -> None:
    twin = save("llama, wide heads")  # Llama 3's frequencies, which GGUF has as a factor for each pair

    def frequencies(writer: gguf.GGUFWriter) -> None:
        plain = 10000.0 ** (-np.arange(0, 20, 2, dtype=np.float32) / 20)
        inverse = AutoModel.from_pretrained(twin).rotary_emb.inv_freq.numpy()
        writer.add_tensor("rope_freqs.weight", plain / inverse)

    file = written(twin, frequencies, **WIDE)
    expected = reference_of(twin, inputs_of(twin, TEXTS[0])).weights
    for ours, weights in zip(every_weight_of(source(file), TEXTS[0]), expected, strict=True):
        np.testing.assert_allclose(ours, weights, atol=2e-5)  # the factors round once more: 2e-6 seen


def _linear(writer: gguf.GGUFWriter) -> None:
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(4.0)


STRETCHES: dict[str, Change] = {
    "a type and a factor": _linear,
    "a factor alone": lambda writer: writer.add_rope_scaling_factor(4.0),
    "the older key": lambda writer: writer.add_float32("llama.rope.scale_linear", 4.0),
}


@pytest.mark.parametrize("stretch", STRETCHES.values(), ids=STRETCHES)
def test_linear_rope_scaling_is_read(stretch: Change, save: Save) -> None:
    twin = save("llama, linear")
    expected = reference_of(twin, inputs_of(twin, TEXTS[0])).weights
    for ours, weights in zip(
        every_weight_of(source(written(twin, stretch)), TEXTS[0]), expected, strict=True
    ):
        np.testing.assert_allclose(ours, weights, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_factor_that_stretches_nothing_changes_nothing(value: float, twin: Path) -> None:
    plain = every_weight_of(source(written(twin)), TEXTS[0])
    found = every_weight_of(
        source(written(twin, lambda writer: writer.add_rope_scaling_factor(value))), TEXTS[0]
    )
    for ours, weights in zip(found, plain, strict=True):
        np.testing.assert_array_equal(ours, weights)


def test_a_file_that_is_not_causal_looks_to_both_sides(twin: Path) -> None:
    file = written(twin, lambda writer: writer.add_causal_attention(False))
    config = twin / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"is_causal": False}))
    expected = reference_of(twin, inputs_of(twin, TEXTS[0])).weights
    assert np.triu(expected[0], 1).max() > 0.5
    for ours, weights in zip(every_weight_of(source(file), TEXTS[0]), expected, strict=True):
        np.testing.assert_allclose(ours, weights, atol=1e-5)


@pytest.mark.parametrize("text", [*TEXTS, "  two  spaces\n", "\U0001f642<s>x"])
def test_a_scored_tokenizer_agrees_with_its_original(twin: Path, text: str) -> None:
    assert source(written(twin)).tokens(text, None) == open_tokenizer(twin)(text)


@pytest.mark.parametrize("text", [*TEXTS, "  two  spaces\n it's 1234 ", "a<|endoftext|>b"])
def test_a_byte_level_tokenizer_agrees_with_its_original(twin: Path, tmp_path: Path, text: str) -> None:
    byte_level().save(str(tmp_path / "tokenizer.json"))
    found = source(written(twin, vocabulary=byte_letters("gpt-2")))
    assert found.tokens(text, None) == open_tokenizer(tmp_path)(text)


@pytest.mark.parametrize(
    ("pre", "begins", "first"),
    [
        ("gpt-2", None, "t"),
        ("gpt-2", True, "<|endoftext|>"),
        ("llama-bpe", None, "<|endoftext|>"),
        ("llama-bpe", False, "t"),
    ],
)
def test_a_text_begins_with_a_start_token_if_the_file_says_so(
    twin: Path, pre: str, first: str, *, begins: bool | None
) -> None:
    found = source(written(twin, vocabulary=byte_letters(pre, begins=begins)))
    assert found.tokens("tx", None)[0].piece == first


def flagged(model: str = "llama", /, name: str = "", **flags: bool) -> Change:
    """The twin's tokenizer with flags, and with a control token and one that the user defined."""

    def change(writer: gguf.GGUFWriter) -> None:
        inner = byte_fallback() if model == "llama" else byte_level()
        numbered = dict(sorted(inner.get_vocab().items(), key=lambda item: item[1]))
        pieces = [*numbered, "<|user|>", "<think>"]
        special = inner.get_added_tokens_decoder().keys()
        writer.add_token_list(pieces)
        kinds = [3 if index in special else 1 for index in numbered.values()]
        writer.add_token_types([*kinds, 3, 4])
        writer.add_tokenizer_model(model)
        if model == "llama":
            writer.add_token_scores([-float(index) for index in range(len(pieces))])
            writer.add_unk_token_id(0)
        else:
            writer.add_tokenizer_pre("gpt-2")
            writer.add_token_merges([" ".join(pair) for pair in merges_of(inner)])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        if name:
            writer.add_name(name)
        for flag, value in flags.items():
            writer.add_bool(f"tokenizer.ggml.{flag}", value)

    return change


def pieces_of(twin: Path, text: str, change: Change) -> list[str]:
    wide = load_file(twin / "model.safetensors")
    embedding = wide["model.embed_tokens.weight"]
    if len(embedding) < 320:
        from safetensors.numpy import save_file

        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            wide[name] = np.concatenate([wide[name], wide[name][:10]])
        save_file(wide, twin / "model.safetensors", {"format": "pt"})
    return [token.piece for token in source(written(twin, vocabulary=change)).tokens(text, None)]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, ["<s>", "▁the", "▁cat"]),
        ({"add_bos_token": True}, ["<s>", "▁the", "▁cat"]),
        ({"add_bos_token": False}, ["▁the", "▁cat"]),
        ({"add_eos_token": True}, ["<s>", "▁the", "▁cat", "</s>"]),
        ({"add_bos_token": False, "add_eos_token": True}, ["▁the", "▁cat", "</s>"]),
        ({"add_space_prefix": True}, ["<s>", "▁the", "▁cat"]),
        ({"add_space_prefix": False}, ["<s>", "the", "▁cat"]),
        ({"add_sep_token": True}, ["<s>", "▁the", "▁cat"]),  # BERT's vocabularies only
    ],
)
def test_the_flags_of_a_scored_tokenizer_are_those_of_llama_cpp(
    twin: Path, flags: dict[str, bool], expected: list[str]
) -> None:
    assert pieces_of(twin, "the cat", flagged("llama", "", **flags)) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, ["c", "at"]),
        ({"add_bos_token": True}, ["!", "c", "at"]),  # the number of BOS is 1
        ({"add_eos_token": True}, ["c", "at", '"']),
        ({"add_space_prefix": True}, ["c", "at"]),  # SentencePiece's vocabularies only
    ],
)
def test_the_flags_of_a_byte_level_tokenizer_are_those_of_llama_cpp(
    twin: Path, flags: dict[str, bool], expected: list[str]
) -> None:
    assert pieces_of(twin, "cat", flagged("gpt2", "", **flags)) == expected


@pytest.mark.parametrize("removes", [True, False])
def test_spaces_are_kept_whatever_a_flag_for_t5_says(twin: Path, *, removes: bool) -> None:
    expected = ["<s>", "▁the", "▁", "▁cat"]
    assert pieces_of(twin, "the  cat", flagged(remove_extra_whitespaces=removes)) == expected


def test_a_space_begins_the_text_behind_a_special_token_too(twin: Path) -> None:
    found = pieces_of(twin, "the<|user|>the", flagged())
    assert found == ["<s>", "▁the", "<|user|>", "▁the"]
    found = pieces_of(twin, "the<|user|>the", flagged(add_space_prefix=False))
    assert found == ["<s>", "the", "<|user|>", "the"]


def test_control_tokens_are_special_and_those_the_user_defined_are_not(twin: Path) -> None:
    pieces_of(twin, "the", flagged())
    tokens = source(written(twin, vocabulary=flagged())).tokens("the<|user|><think>", None)
    assert [(token.piece, token.special) for token in tokens[-2:]] == [("<|user|>", True), ("<think>", False)]


def test_special_tokens_of_phi_3_take_the_white_space_behind_them(twin: Path) -> None:
    assert pieces_of(twin, "<|user|> the", flagged(name="Phi 3"))[1:] == ["<|user|>", "▁", "▁the"]
    assert pieces_of(twin, "<|user|> \n the", flagged(name="Phi-3 Mini"))[1:] == ["<|user|>", "▁the"]
    assert pieces_of(twin, "</s> the<s> the", flagged(name="phi3"))[1:] == [
        "</s>",
        "▁the",
        "<s>",
        "▁",
        "▁the",
    ]


def test_a_file_s_tokenizer_may_be_chosen_for_another_model_and_another_for_a_file(twin: Path) -> None:
    file = written(twin)
    plain = attn("tokens", "the cat", "-m", twin, "--json").document["tokens"]
    assert attn("tokens", "the cat", "-m", twin, "--tokenizer", file, "--json").document["tokens"] == plain
    unknown = written(twin, vocabulary=tokenizer(model="bert"))
    found = attn("tokens", "the cat", "-m", unknown, "--tokenizer", twin, "--json").document["tokens"]
    assert found == plain


@pytest.mark.parametrize(
    ("pre", "like"),
    [
        ("phi-2", "gpt-2"),
        ("falcon3", "llama-bpe"),
        ("lfm2", "llama3"),
        ("llama4", "gpt-4o"),
        ("smaug-bpe", "dbrx"),
        ("deepseek-r1-qwen", "qwen2"),
    ],
)
def test_pre_tokenizers_of_two_names_are_the_same(twin: Path, pre: str, like: str) -> None:
    text = "It's 12345 THE_cat\n\n  sat..."
    found, expected = (
        source(written(twin, vocabulary=byte_letters(name))).tokens(text, None) for name in (pre, like)
    )
    assert found == expected


def test_llama_3_splits_numbers_into_three_digits_and_keeps_words(twin: Path) -> None:
    pieces = ["<s>", *"0123456789", "012", "Ġthe", *"Ġthe"]

    def change(writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("llama-bpe")
        writer.add_token_list(list(dict.fromkeys(pieces)))
        writer.add_token_types([3, *[1] * (len(set(pieces)) - 1)])
        writer.add_token_merges([])
        writer.add_bos_token_id(0)

    found = source(written(twin, vocabulary=change)).tokens("0120123 the", None)
    assert [token.piece for token in found] == ["<s>", "012", "012", "3", "Ġthe"]


def key(name: str, value: int) -> Change:
    return lambda writer: writer.add_uint32(name, value)


def tokenizer(**changed: Any) -> Change:
    """A tokenizer of two pieces, with changes."""

    def change(writer: gguf.GGUFWriter) -> None:
        values = {"model": "llama", "tokens": ["a", "b"], "scores": [0.0, 0.0], "token_type": [1, 1]}
        for name, value in (values | {"bos_token_id": 0} | changed).items():
            add: Any = {str: writer.add_string, list: writer.add_array, int: writer.add_uint32}[type(value)]
            add(f"tokenizer.ggml.{name}", value)

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (tokenizer(model="bert"), "its model is bert, not gpt2 or llama"),
        (tokenizer(tokens=["a", "a"]), "a piece occurs twice"),
        (tokenizer(tokens="a"), "0 pieces, but 2 values of scores"),
        (tokenizer(scores=[0.0]), "2 pieces, but 1 values of scores"),
        (tokenizer(token_type=[1]), "2 pieces, but 1 values of token_type"),
        (tokenizer(bos_token_id=2), "bos_token_id is 2 of 2 pieces"),
        (tokenizer(model="gpt2", pre="falcon"), f"its pre-tokenizer is falcon, not one of {CUTS}"),
        (tokenizer(model="gpt2"), f"its pre-tokenizer is None, not one of {CUTS}"),
        (
            tokenizer(tokens=[str(number) for number in range(311)]),
            "311 pieces for 310 rows of the embedding",
        ),
    ],
)
def test_a_tokenizer_that_cannot_be_rebuilt_says_why(twin: Path, change: Change, problem: str) -> None:
    file = written(twin, vocabulary=change)
    problem = f"{file} has a tokenizer that cannot be rebuilt: {problem}"
    refused(file, problem, CHOOSE)


def test_merges_of_missing_pieces_are_refused(twin: Path) -> None:
    file = written(twin, vocabulary=tokenizer(model="gpt2", pre="gpt-2", merges=["x y"]))
    with pytest.raises(AttnError, match="has no tokenizer that can be rebuilt: "):
        source(file)


@pytest.mark.parametrize("change", [key("llama.expert_count", 8), key("split.count", 2)])
def test_anything_but_a_complete_plain_model_is_refused(twin: Path, change: Change) -> None:
    with pytest.raises(AttnError, match=r"(is only one part of a model|is a mixture of experts)"):
        source(written(twin, change))


def test_another_architecture_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(file, "bloom")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    problem = f"{file} has an architecture that is not supported in GGUF: 'bloom'"
    known = "llama, qwen2, qwen3, gemma, gemma2, gemma3, phi3, gpt2"
    refused(file, problem, f"use one of {known}, or {LAYOUT.removeprefix('use ')}")


def test_an_unsupported_quantisation_is_named(twin: Path) -> None:
    def unread(writer: gguf.GGUFWriter) -> None:
        writer.add_tensor("blk.2.attn_output.weight", np.zeros((32, 40), np.uint8), raw_dtype=KIND.Q8_1)

    file = written(twin, unread, without="blk.2.attn_output.weight")
    name = "layers.2.self_attn.o_proj.weight"
    problem = f"the tensor {name} in {file} has an unsupported type: Q8_1, which gguf cannot dequantize"
    refused(file, problem, "use a checkpoint in float32, float16 or bfloat16")


def test_a_missing_tensor_is_named(twin: Path) -> None:
    file = written(twin, without="blk.2.attn_output.weight")
    problem = f"the tensor layers.2.self_attn.o_proj.weight is missing from {file}"
    refused(file, problem, "check that config.json and the weights belong to the same model")


def test_a_billion_layers_are_refused(twin: Path) -> None:
    with pytest.raises(AttnError, match=r"is 1000000000, which is not 10,000 or fewer$"):
        source(written(twin, block_count=10**9))


def test_more_layers_than_the_file_has_are_refused(twin: Path) -> None:
    with pytest.raises(AttnError, match=r"^the tensor layers\.9999\..* is missing from "):
        source(written(twin, block_count=10**4)).check()


@pytest.mark.parametrize(
    "name",
    [
        *("split.count", "general.name", "llama.expert_count", "llama.rope.scaling.type"),
        *("llama.rope.scaling.factor", "llama.attention.causal", "tokenizer.ggml.add_bos_token"),
        *("tokenizer.ggml.model", "tokenizer.ggml.eos_token_id"),
    ],
)
@pytest.mark.parametrize("values", [[1, 2], ["a", "b"], [0.5, 0.5]])
def test_an_array_in_place_of_one_value_is_refused(twin: Path, name: str, values: list[Any]) -> None:
    def change(writer: gguf.GGUFWriter) -> None:
        for shard in writer.kv_data:
            shard.pop(name, None)
        writer.add_array(name, values)

    file = written(twin, change)
    problem = f"{file} has an array of 2 values as {name}, not one value"
    with pytest.raises(AttnError) as caught:
        source(file)
    assert (caught.value.problem, caught.value.hint) == (problem, "download the file again")


@pytest.mark.parametrize("length", [10**4, 10**5])
def test_a_piece_of_many_characters_is_refused_before_it_is_split(twin: Path, length: int) -> None:
    change = tokenizer(tokens=["a", "b" * (length + 1)])
    with pytest.raises(AttnError, match=f"its longest piece has {length + 1:,} characters"):
        source(written(twin, vocabulary=change))


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_merges_and_scores_that_are_other_arrays_are_refused(twin: Path, kind: str) -> None:
    changed = {"merges": [1, 2], "scores": ["a", "b"], "pre": "gpt-2", "model": kind}
    with pytest.raises(AttnError, match=r"its merges are not strings|0 values of scores"):
        source(written(twin, vocabulary=tokenizer(**changed)))


def test_only_the_requested_rows_are_dequantised(twin: Path) -> None:
    found = open_files(written(twin, kind=KIND.Q8_0)).weights(("",), None)
    assert isinstance(found, Weights)
    whole = found.read("embed_tokens.weight", (310, 32))
    np.testing.assert_array_equal(found.rows("embed_tokens.weight", (310, 32), [7, 0, 7]), whole[[7, 0, 7]])


def test_without_the_package_it_says_what_to_install(twin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(twin)
    monkeypatch.setitem(sys.modules, "gguf", None)
    problem = f"{file} needs the package gguf, which is not installed"
    refused(file, problem, "pip install 'attn-cli[gguf]'")


def test_a_gguf_file_is_inspected(twin: Path) -> None:
    found = attn("inspect", "the cat", "-m", written(twin), "-l", "0", "-H", "1", "--json").document
    assert found["model"]["name"] == "small"
    assert found["model"]["type"] == "llama"


def header(*fields: bytes, version: int = 3, tensors: int = 0, keys: int = 0) -> bytes:
    """A file by hand."""
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(fields)


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


def array(kind: int, count: int) -> bytes:
    return text(b"k") + struct.pack("<IIQ", 9, kind, count)


def info(name: bytes = b"t", shape: tuple[int, ...] = (2,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


SHORT = "is truncated: the header goes past its {size} bytes"
LYING: list[tuple[bytes, str]] = [
    (b"GGU", SHORT),
    (b"PK\3\4....", "is not a GGUF file"),
    (header(version=1), "has an unsupported GGUF version: 1, not 2 or 3"),
    (header(version=4), "has an unsupported GGUF version: 4, not 2 or 3"),
    (header(version=3 << 24), "has an unsupported GGUF version: 50331648, not 2 or 3"),
    (header(keys=10_000), SHORT),
    (header(keys=10_001), "has a damaged header: it has 10,001 keys, and the limit is 10,000"),
    (header(tensors=100_000), SHORT),
    (header(tensors=100_001), "has a damaged header: it has 100,001 tensors, and the limit is 100,000"),
    (header(text(b"", 2**63), keys=1), SHORT),
    (
        header(array(8, 2**60), keys=1),
        "has a damaged header: it has 1,152,921,504,606,846,976 strings, and the limit is 1,500,000",
    ),
    (header(array(8, 1_500_000), keys=1), SHORT),
    (
        header(array(8, 1_500_001), keys=1),
        "has a damaged header: it has 1,500,001 strings, and the limit is 1,500,000",
    ),
    (header(array(4, 2**60), keys=1), SHORT),
    (header(array(9, 1), keys=1), "has a damaged header: an array of 1 values of type 9"),
    (header(text(b"k"), struct.pack("<I", 13), keys=1), "has a damaged header: a value is of type 13"),
    (header(text(b"\xff"), keys=1), "has a damaged header: a string is not UTF-8: invalid start byte"),
    (
        header(*[text(b"k") + struct.pack("<IB", 0, 1)] * 2, keys=2),
        "has a damaged header: key k occurs twice",
    ),
    (header(info(), info(), bytes(64), tensors=2), "has a damaged header: tensor t occurs twice"),
    (header(info(shape=()), tensors=1), "has a damaged header: tensor t has 0 dimensions"),
    (header(info(shape=(1,) * 5), tensors=1), "has a damaged header: tensor t has 5 dimensions"),
    (
        header(info(shape=(0,)), tensors=1),
        "has a damaged header: tensor t of type F32 has the shape (0,)",
    ),
    (
        header(info(shape=(31,), kind=8), tensors=1),
        "has a damaged header: tensor t of type Q8_0 has the shape (31,)",
    ),
    (header(info(), tensors=1), "is truncated: {size} bytes, but tensor t ends at 72"),
    (
        header(info(shape=(2**32, 2**32)), tensors=1),
        "is truncated: {size} bytes, but tensor t ends at 73786976294838206560",
    ),
    (
        header(info(offset=2**63), tensors=1),
        "is truncated: {size} bytes, but tensor t ends at 9223372036854775880",
    ),
    (
        header(text(b"general.alignment") + struct.pack("<II", 4, 0), keys=1),
        "has a damaged header: general.alignment is 0",
    ),
]


@pytest.mark.parametrize(("content", "problem"), LYING)
def test_an_inconsistent_header_is_refused_without_taking_memory(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(AttnError) as caught:
        read_gguf(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.problem == f"{file} {problem.format(size=len(content))}"
    assert peak < 2**20


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").touch()
    refused(tmp_path / "a.gguf", f"{tmp_path}/a.gguf is empty", "download the file again")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from tests.support.twins import RECIPES

    directory = tmp_path_factory.mktemp("twin")
    RECIPES["llama"].save(directory)
    return written(directory, kind=KIND.Q8_0).read_bytes()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_file_is_read_or_refused(content: bytes, tmp_path: Path, data: st.DataObject) -> None:
    mutated = bytearray(content)
    start = data.draw(st.integers(0, 12_000))  # the header, the metadata and the first numbers
    mutated[start : start + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    file = tmp_path / "a.gguf"
    file.write_bytes(mutated[: data.draw(st.sampled_from([len(mutated), start, 20_000]))])
    try:
        found = source(file)
        found.check()
        found.tokens("the cat", None)
    except AttnError:
        pass


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 1, 1), (2, 1, 1, 1)])
def test_versions_2_and_3_are_read_and_tensors_of_four_dimensions(
    version: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(header(info(shape=shape), bytes(64), tensors=1, version=version))
    assert read_gguf(file).tensors["t"].shape == shape[::-1]


FORBIDDEN: dict[str, tuple[Change, str]] = {
    "a clamp": (
        lambda writer: writer.add_float32("llama.attention.clamp_kqv", 8.0),
        "says llama.attention.clamp_kqv is 8.0: only 0 is supported",
    ),
    "a part of each head turns": (
        lambda writer: writer.add_rope_dimension_count(4),
        "says llama.rope.dimension_count is 4: only 8 is supported",
    ),
    "narrower values": (
        lambda writer: writer.add_value_length(4),
        "says llama.attention.value_length is 4: only 8 is supported",
    ),
    "another gain of RoPE": (
        lambda writer: writer.add_rope_scaling_attn_factors(0.5),
        "says llama.rope.scaling.attn_factor is 0.5: only 1 is supported",
    ),
    "a key of tomorrow": (
        lambda writer: writer.add_uint32("llama.attention.folded", 1),
        "has the metadata key llama.attention.folded, which attn does not know",
    ),
}


@pytest.mark.parametrize(("change", "problem"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_metadata_that_could_change_the_attention_is_refused(
    change: Change, problem: str, twin: Path
) -> None:
    file = written(twin, change)
    with pytest.raises(AttnError) as caught:
        source(file)
    assert caught.value.problem == f"{file} {problem}"
    assert caught.value.hint == "use the model's directory in Hugging Face layout"


def test_metadata_that_changes_nothing_is_accepted(twin: Path) -> None:
    def change(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_dimension_count(8)
        writer.add_value_length(8)
        writer.add_rope_scaling_attn_factors(1.0)
        writer.add_float32("llama.attention.max_alibi_bias", 0.0)

    plain = every_weight_of(source(written(twin)), TEXTS[0])
    for ours, weights in zip(every_weight_of(source(written(twin, change)), TEXTS[0]), plain, strict=True):
        np.testing.assert_array_equal(ours, weights)


def test_the_chat_template_of_the_metadata_is_used(twins: Path, tmp_path: Path) -> None:
    source = "{{ bos_token }}[{{ messages[0]['content'] }}]{{ eos_token }}{{ pad_token }}"
    directory = Path(shutil.copytree(twins / "llama", tmp_path / "llama"))
    file = written(directory, lambda writer: writer.add_chat_template(source))
    found = attn("tokens", "the cat", "--chat", "-m", file, "--json").document
    assert found["text"] == "<s>[the cat]</s>"
    assert [token["text"] for token in found["tokens"] if token["special"]] == ["<s>", "</s>"]


def test_a_file_without_a_chat_template_says_so(twins: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(twins / "llama", tmp_path / "llama"))
    answer = attn("tokens", "the cat", "--chat", "-m", written(directory))
    problem = "small has no chat template, so it takes no --chat"
    hint = "leave out --chat, or use a model that was trained on chats"
    assert (answer.status, answer.err) == (2, f"attn: {problem}\ntry: {hint}\n")
