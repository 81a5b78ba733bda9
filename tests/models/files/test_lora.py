"""A LoRA adapter is merged by the published formula, as each tensor is read, or refused by name."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from attn_cli.errors import AttnError
from attn_cli.models.files import lora
from attn_cli.models.files.adapter import read_adapter
from attn_cli.models.files.lora import merge_adapter
from attn_cli.models.files.weights import open_weights
from attn_cli.models.open import open_checkpoint, open_source
from attn_cli.models.source import Source, SourceRequest, Texts
from attn_cli.vocabulary import Kind
from tests.support.adapters import (
    ALPHA,
    RANK,
    Arrays,
    Numbers,
    draw,
    low_rank,
    pair,
    save_adapter,
    save_changed,
    tensor,
)
from tests.support.every_type import save_twin
from tests.support.reference import NUMPY, every_weight_of
from tests.support.twins import TEXTS, Save
from tests.support.worlds import attn, refused

SCALE = np.float32(ALPHA / RANK)
QUERY = "model.layers.1.self_attn.q_proj"
VALUE = "model.layers.0.self_attn.v_proj"
EMBEDDING = "model.embed_tokens"
Q, V = pair(32, 32), pair(16, 32)


def opened(path: Path, **how: Any) -> Source:
    return open_source(SourceRequest(str(path), **how), {"HF_HUB_OFFLINE": "1"})


def same(adapter: Path, merged: Path) -> None:
    """The adapter gives the attention of the merged checkpoint, which differs from the base's."""
    expected = every_weight_of(open_checkpoint("merged", merged, NUMPY), TEXTS[0])
    plain = every_weight_of(opened(adapter, adapter=False), TEXTS[0])
    for ours, theirs in zip(every_weight_of(opened(adapter), TEXTS[0]), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)  # float32; 2e-6 seen
    assert max(np.abs(a - b).max() for a, b in zip(plain, expected, strict=True)) > 0.05


def plus(base: Path, module: str, a: Numbers, b: Numbers, scale: float = float(SCALE)) -> Arrays:
    """W + s B A."""
    name = f"{module}.weight"
    return {name: tensor(base, name) + np.float32(scale) * (b @ a)}


Variant = Callable[[Path], tuple[Arrays, Arrays, dict[str, Any]]]
"""From the base: the tensors of the adapter, what they make of the base's, and its configuration."""


def _two_modules(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    merged = {**plus(base, QUERY, *Q), **plus(base, VALUE, *V)}
    return low_rank(QUERY, *Q) | low_rank(VALUE, *V), merged, {"target_modules": ["q_proj", "v_proj"]}


def _rank_stabilised(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:  # Kalajdzievski 2023
    return low_rank(QUERY, *Q), plus(base, QUERY, *Q, scale=ALPHA / RANK**0.5), {"use_rslora": True}


def _patterns(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    narrow = pair(16, 32, rank=2)
    merged = {**plus(base, QUERY, *Q, scale=32 / RANK), **plus(base, VALUE, *narrow, scale=ALPHA / 2)}
    patterns = {"rank_pattern": {r"layers\.\d\.self_attn\.v_proj": 2}, "alpha_pattern": {"q_proj": 32}}
    return low_rank(QUERY, *Q) | low_rank(VALUE, *narrow), merged, patterns


def _only_targets(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    return low_rank(QUERY, *Q) | low_rank(VALUE, *V), plus(base, VALUE, *V), {"target_modules": ["v_proj"]}


def _expression(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    only = {"target_modules": r".*\.1\.self_attn\.(q|v)_proj"}
    return low_rank(QUERY, *Q) | low_rank(VALUE, *V), plus(base, QUERY, *Q), only


def _excluded(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    but = {"target_modules": "all-linear", "exclude_modules": ["layers.0.self_attn.v_proj"]}
    return low_rank(QUERY, *Q) | low_rank(VALUE, *V), plus(base, QUERY, *Q), but


def _one_layer(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    only = {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": [1]}
    return low_rank(QUERY, *Q) | low_rank(VALUE, *V), plus(base, QUERY, *Q), only


def _one_layer_by_name(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    only = {"target_modules": ["q_proj", "v_proj"], "layers_to_transform": 0, "layers_pattern": "layers"}
    return low_rank(QUERY, *Q) | low_rank(VALUE, *V), plus(base, VALUE, *V), only


def _embeddings(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    a, b = draw(RANK, 310, seed=3), draw(32, RANK, seed=4)
    at, name = f"base_model.model.{EMBEDDING}", f"{EMBEDDING}.weight"
    tensors = {f"{at}.lora_embedding_A": a, f"{at}.lora_embedding_B": b}
    return tensors, {name: tensor(base, name) + SCALE * (b @ a).T}, {}


def _whole_modules(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    norm, head = "model.layers.0.input_layernorm.weight", "base_model.model.score.weight"
    gain = np.abs(draw(32, seed=5)) + 1
    tensors = low_rank(QUERY, *Q) | {f"base_model.model.{norm}": gain, head: draw(2, 32)}
    return tensors, {**plus(base, QUERY, *Q), norm: gain}, {"modules_to_save": ["score", "input_layernorm"]}


def _magnitudes(base: Path) -> tuple[Arrays, Arrays, dict[str, Any]]:
    moved = plus(base, QUERY, *Q)[f"{QUERY}.weight"]
    lengths = np.abs(draw(32, seed=6)) + 1
    tensors = low_rank(QUERY, *Q) | {f"base_model.model.{QUERY}.lora_magnitude_vector": lengths}
    by_row = [row * length / np.linalg.norm(row) for row, length in zip(moved, lengths, strict=True)]
    return tensors, {f"{QUERY}.weight": np.array(by_row)}, {"use_dora": True}


VARIANTS: Mapping[str, Variant] = {
    "LoRA": _two_modules,
    "rsLoRA": _rank_stabilised,
    "rank_pattern and alpha_pattern": _patterns,
    "target_modules is a part": _only_targets,
    "target_modules is an expression": _expression,
    "exclude_modules": _excluded,
    "layers_to_transform": _one_layer,
    "layers_pattern": _one_layer_by_name,
    "embeddings": _embeddings,
    "modules_to_save": _whole_modules,
    "DoRA": _magnitudes,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_merged_by_its_formula(name: str, save: Save, tmp_path: Path) -> None:
    base = save("llama")
    tensors, merged, config = VARIANTS[name](base)
    adapter = save_adapter(tmp_path / "adapter", base, tensors, **config)
    same(adapter, save_changed(base, tmp_path / "merged", merged))


@pytest.mark.parametrize("fan_in_fan_out", [True, False])  # PEFT corrects the latter for Conv1D
def test_a_matrix_of_gpt2_is_stored_transposed(fan_in_fan_out: bool, save: Save, tmp_path: Path) -> None:
    base, (a, b) = save("gpt2"), pair(32, 32)
    name = "h.1.attn.c_proj"  # square, so that its shape does not tell
    fused, (c, d) = "h.0.attn.c_attn", pair(96, 32)
    tensors = low_rank(f"transformer.{name}", a, b) | low_rank(f"transformer.{fused}", c, d)
    config = {"fan_in_fan_out": fan_in_fan_out, "target_modules": ["c_proj", "c_attn"]}
    adapter = save_adapter(tmp_path / "adapter", base, tensors, **config)
    merged = {
        f"{module}.weight": tensor(base, f"{module}.weight") + SCALE * (left @ right).T
        for module, right, left in ((name, a, b), (fused, c, d))
    }
    same(adapter, save_changed(base, tmp_path / "merged", merged))


def test_the_lengths_of_a_transposed_matrix_are_of_its_outputs(save: Save, tmp_path: Path) -> None:
    base, (a, b), name = save("gpt2"), pair(96, 32), "h.0.attn.c_attn"
    lengths = np.abs(draw(96, seed=6)) + 1
    tensors = low_rank(name, a, b) | {f"base_model.model.{name}.lora_magnitude_vector": lengths}
    adapter = save_adapter(tmp_path / "adapter", base, tensors, use_dora=True)
    moved = tensor(base, f"{name}.weight").T + SCALE * (b @ a)
    by_row = [row * length / np.linalg.norm(row) for row, length in zip(moved, lengths, strict=True)]
    same(adapter, save_changed(base, tmp_path / "merged", {f"{name}.weight": np.array(by_row).T.copy()}))


@pytest.mark.parametrize("kept", ["base_layer.", ""])
def test_biases_of_the_adapter_replace_those_of_the_base(kept: str, save: Save, tmp_path: Path) -> None:
    base, bias = save("llama, biases"), draw(32, seed=7)
    tensors = low_rank(QUERY, *Q) | {f"base_model.model.{QUERY}.{kept}bias": bias}
    adapter = save_adapter(tmp_path / "adapter", base, tensors, bias="lora_only")
    same(adapter, save_changed(base, tmp_path / "merged", {**plus(base, QUERY, *Q), f"{QUERY}.bias": bias}))


def test_the_bias_of_b_is_scaled_and_added(save: Save, tmp_path: Path) -> None:
    base, bias = save("llama, biases"), draw(32, seed=7)
    tensors = low_rank(QUERY, *Q) | {f"base_model.model.{QUERY}.lora_B.bias": bias}
    adapter = save_adapter(tmp_path / "adapter", base, tensors, lora_bias=True)
    summed = tensor(base, f"{QUERY}.bias") + SCALE * bias
    same(
        adapter,
        save_changed(base, tmp_path / "merged", {**plus(base, QUERY, *Q), f"{QUERY}.bias": summed}),
    )


@pytest.mark.parametrize(("base_twin", "prefix"), [("llama, no prefix", "model."), ("llama", "")])
def test_the_prefix_of_the_base_may_differ(base_twin: str, prefix: str, save: Save, tmp_path: Path) -> None:
    base = save(base_twin)
    stored = "" if prefix else "model."
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(f"{prefix}layers.1.self_attn.q_proj", *Q))
    merged = plus(base, f"{stored}layers.1.self_attn.q_proj", *Q)
    same(adapter, save_changed(base, tmp_path / "merged", merged))


def test_more_tokens_make_a_larger_vocabulary(save: Save, tmp_path: Path) -> None:
    base, table = save("llama"), np.concatenate([draw(310, 32, seed=8), draw(2, 32, seed=9)])
    tensors = low_rank(QUERY, *Q) | {f"base_model.model.{EMBEDDING}.weight": table}
    adapter = save_adapter(tmp_path / "adapter", base, tensors, modules_to_save=["embed_tokens"])
    changes = {**plus(base, QUERY, *Q), f"{EMBEDDING}.weight": table}
    merged = save_changed(base, tmp_path / "merged", changes)
    config = merged / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": 312}))
    same(adapter, merged)


def logits_of(source: Source) -> Any:
    return source.predictor(Texts(source.tokens(TEXTS[0], None))).logits([0, -1])


@pytest.mark.parametrize("base_twin", ["llama", "llama, tied"])
def test_predictions_are_those_of_the_merged_model(base_twin: str, save: Save, tmp_path: Path) -> None:
    base = save(base_twin)
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(QUERY, *Q))
    merged = save_changed(base, tmp_path / "merged", plus(base, QUERY, *Q))
    expected = logits_of(open_checkpoint("merged", merged, NUMPY))
    np.testing.assert_allclose(logits_of(opened(adapter)), expected, atol=1e-5)
    assert np.abs(logits_of(opened(adapter, adapter=False)) - expected).max() > 0.05


def test_an_adapter_of_the_head_is_merged_into_it(save: Save, tmp_path: Path) -> None:
    base, change = save("llama"), pair(310, 32)
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(QUERY, *Q) | low_rank("lm_head", *change))
    changes = {**plus(base, QUERY, *Q), **plus(base, "lm_head", *change)}
    merged = save_changed(base, tmp_path / "merged", changes)
    expected = logits_of(open_checkpoint("merged", merged, NUMPY))
    np.testing.assert_allclose(logits_of(opened(adapter)), expected, atol=1e-5)


@pytest.mark.parametrize("module", ["lm_head", EMBEDDING])
def test_a_tied_head_with_an_adapter_of_the_embeddings_is_not_known(
    module: str, save: Save, tmp_path: Path
) -> None:
    base, table = save("llama, tied"), draw(310, 32, seed=8)
    tensors = low_rank(QUERY, *Q) | {f"base_model.model.{module}.weight": table}
    adapter = save_adapter(tmp_path / "adapter", base, tensors, modules_to_save=[module])
    with pytest.raises(AttnError) as raised:
        logits_of(opened(adapter))
    reason = f"the adapter {adapter} changes {module}, and the head is tied to the embeddings"
    assert raised.value.problem.endswith(f"has no language head that is known: {reason}")


@pytest.mark.parametrize("kind", ["cohere", "openai-gpt"])  # the latter has Conv1D
def test_transformers_computes_with_the_merged_weights(kind: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    save_twin(kind, base)
    module = {"cohere": "layers.0.self_attn.q_proj", "openai-gpt": "h.0.attn.c_attn"}[kind]
    weight = tensor(base, f"{module}.weight")
    a, b = pair(*(weight.shape if kind == "cohere" else weight.shape[::-1]))
    change = SCALE * (b @ a)
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(module, a, b))
    merged = {f"{module}.weight": weight + (change if kind == "cohere" else change.T)}
    same(adapter, save_changed(base, tmp_path / "merged", merged))
    assert opened(adapter).engine == "transformers"


def test_only_the_rows_that_are_read_are_computed(save: Save, tmp_path: Path) -> None:
    base = save("llama")
    tensors, merged, _ = _embeddings(base)
    adapter = read_adapter(save_adapter(tmp_path / "adapter", base, tensors))
    weights = merge_adapter(open_weights(base).tensors, adapter, is_transposed=lambda _: False)
    read = weights[f"{EMBEDDING}.weight"].numbers
    assert read is not None
    np.testing.assert_allclose(read([7, 2]), merged[f"{EMBEDDING}.weight"][[7, 2]], atol=1e-6)


def test_nothing_is_merged_until_a_layer_runs(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = save_adapter(tmp_path / "adapter", save("llama"), low_rank(QUERY, *Q))

    def merged(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(lora, "_changed", merged)
    found = opened(adapter)
    found.check()
    texts = Texts(found.tokens(TEXTS[0], None))
    assert len(list(found.attentions(texts, Kind.SELF, [0]))) == 1
    with pytest.raises(AssertionError):
        list(found.attentions(texts, Kind.SELF, [1]))


def test_a_merged_adapter_is_said(save: Save, tmp_path: Path) -> None:
    base = save("llama")
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(QUERY, *Q))
    answer = attn("inspect", "the cat", "-m", adapter, "-s", "weights", "--heads", "0.0", "--json")
    remark = f"the LoRA adapter in {adapter} was merged into the weights; --no-adapter leaves it out\n"
    assert answer.err == remark
    assert answer.document["model"]["name"] == f"{base.name} + adapter"


@pytest.mark.parametrize("kind", ["llama", "cohere"])
def test_the_judge_runs_the_merged_weights(kind: str, save: Save, tmp_path: Path) -> None:
    base, module = save(kind), QUERY if kind == "llama" else "layers.0.self_attn.q_proj"
    rows, columns = tensor(base, f"{module}.weight").shape
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(module, *pair(rows, columns)))
    answer = attn("verify", "the cat sat", "-m", adapter)
    assert answer.status == 0, answer.err


def test_the_judge_has_the_larger_vocabulary(save: Save, tmp_path: Path) -> None:
    table = np.concatenate([draw(310, 32, seed=8), draw(2, 32, seed=9)])
    whole = {f"base_model.model.{EMBEDDING}.weight": table}
    adapter = save_adapter(tmp_path / "adapter", save("llama"), whole)
    assert attn("verify", "the cat sat", "-m", adapter).status == 0


def test_an_adapter_beside_its_base_is_merged_into_that_one(save: Save, tmp_path: Path) -> None:
    base = save("llama")
    merged = save_changed(base, tmp_path / "merged", plus(base, QUERY, *Q))
    save_adapter(base, "some/where-else", low_rank(QUERY, *Q))  # transformers reads the files beside it, too
    same(base, merged)
    assert opened(base).card.name == f"{base.name} + adapter"
    assert opened(base, adapter=False).card.name == base.name


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "prefix tuning": (
        {"peft_type": "PREFIX_TUNING"},
        "{} is of type PREFIX_TUNING, and only LORA can be merged",
    ),
    "IA3": ({"peft_type": "IA3"}, "{} is of type IA3, and only LORA can be merged"),
    "AdaLoRA": ({"peft_type": "ADALORA"}, "{} is of type ADALORA, and only LORA can be merged"),
    "PiSSA": (
        {"init_lora_weights": "pissa_niter_4"},
        "{} belongs to a base that its training changed (pissa_niter_4)",
    ),
    "another rank": ({"r": 8}, f"{{}} gives {QUERY} the rank 8, but A and B are (4, 32) and (32, 4)"),
    "DoRA without magnitudes": ({"use_dora": True}, f"{{}} and its weights disagree about DoRA: {QUERY}"),
}


_FIELDS: dict[str, Any] = {  # of `LoraConfig` in PEFT 0.21, which change more than the weights of modules
    "alora_invocation_tokens": [3],
    "use_qalora": True,
    "target_parameters": ["experts.down_proj"],
    "trainable_token_indices": {"embed_tokens": [3]},
    "layer_replication": [[0, 2], [1, 3]],
    "velora_config": {"rank": 1},
    "monteclora_config": {"samples": 2},
    "use_bdlora": {"nblocks": 2},
    "arrow_config": {"top_k": 3},
    "kasa_config": {"beta": 1},
    "of_the_future": {"a": 1},
}
REFUSED |= {
    name: ({name: value}, f"{{}} uses {name}, which cannot be merged exactly")
    for name, value in _FIELDS.items()
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_merged_is_refused_and_may_be_left_out(why: str, save: Save, tmp_path: Path) -> None:
    base = save("llama")
    config, problem = REFUSED[why]
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(QUERY, *Q), **config)
    answer = attn("inspect", "the cat", "-m", adapter, "-s", "weights", "--heads", "0.0")
    assert refused(answer)[:2] == (1, f"the adapter {problem.format(adapter)}")
    plain = attn("inspect", "the cat", "-m", adapter, "-s", "weights", "--heads", "0.0", "--no-adapter")
    assert plain == attn("inspect", "the cat", "-m", base, "-s", "weights", "--heads", "0.0")


@pytest.mark.parametrize("pattern", [{"target_modules": "(q"}, {"rank_pattern": {"(q": 4}}])
def test_an_expression_that_is_not_one_is_refused(pattern: Any, save: Save, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "adapter", save("llama"), low_rank(QUERY, *Q), **pattern)
    with pytest.raises(AttnError, match=r"adapter_config.json has a pattern that is not valid: "):
        opened(adapter).check()


@pytest.mark.parametrize(
    ("setting", "value", "what"),
    [
        ("target_modules", 3, "a string or a list of strings"),
        ("target_modules", [3], "a string or a list of strings"),
        ("exclude_modules", 7, "a string or a list of strings"),
        ("modules_to_save", {"a": 1}, "a string or a list of strings"),
        ("layers_to_transform", "x", "a number or a list of numbers"),
        ("rank_pattern", [1], "an object"),
        ("r", 0, "1 or more"),
        ("r", 4.5, "a whole number"),
        ("lora_alpha", "x", "a number"),
        ("use_rslora", 1, "true or false"),
    ],
)
def test_a_setting_of_another_kind_is_named(
    setting: str, value: Any, what: str, save: Save, tmp_path: Path
) -> None:
    config = {"target_modules": ["q_proj"], setting: value}
    adapter = save_adapter(tmp_path / "adapter", save("llama"), low_rank(QUERY, *Q), **config)
    with pytest.raises(AttnError) as caught:
        opened(adapter).check()
    says = f"{adapter}/adapter_config.json says {setting} is {json.dumps(value)}"
    assert caught.value.problem == f"{says}, which is not {what}"


def test_an_adapter_without_tensors_is_refused(save: Save, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "adapter", save("llama"), {})
    with pytest.raises(AttnError, match=r"/adapter_model.safetensors has no tensors$"):
        opened(adapter).check()


def test_magnitudes_and_biases_of_another_length_are_refused(save: Save, tmp_path: Path) -> None:
    base, at = save("llama, biases"), f"base_model.model.{QUERY}"
    lengths = low_rank(QUERY, *Q) | {f"{at}.lora_magnitude_vector": draw(7)}
    with pytest.raises(AttnError, match=rf"has \(7,\) magnitudes, and 32 outputs: {QUERY}.weight$"):
        opened(save_adapter(tmp_path / "a", base, lengths, use_dora=True)).check()
    bias = low_rank(QUERY, *Q) | {f"{at}.lora_B.bias": draw(7)}
    with pytest.raises(AttnError, match=r"a bias has the shape \(32,\), and the change \(7,\)$"):
        opened(save_adapter(tmp_path / "b", base, bias, lora_bias=True)).check()


@pytest.mark.parametrize("kind", ["llama", "cohere"])
@pytest.mark.parametrize("name", ["", ".default"])
def test_an_adapter_among_the_weights_of_the_model_is_refused(name: str, kind: str, save: Save) -> None:
    """As the whole state dict of a model with PEFT's layers; its tensors would be ignored otherwise."""
    base = save(kind)
    path, held = base / "model.safetensors", f"layers.0.self_attn.q_proj.lora_A{name}.weight"
    safetensors.numpy.save_file(safetensors.numpy.load_file(path) | {held: Q[0]}, path, {"format": "pt"})
    with pytest.raises(AttnError) as caught:
        opened(base).check()
    problem = f"the weights in {base} hold a LoRA adapter that was not merged: {held}"
    assert caught.value.problem == problem


def test_a_tensor_of_another_method_is_refused(save: Save, tmp_path: Path) -> None:
    tensors = low_rank(QUERY, *Q) | {f"base_model.model.{QUERY}.lora_E": draw(4, 1)}
    adapter = save_adapter(tmp_path / "adapter", save("llama"), tensors)
    with pytest.raises(AttnError) as caught:
        opened(adapter).check()
    name = f"base_model.model.{QUERY}.lora_E"
    problem = f"{adapter}/adapter_model.safetensors has a tensor that is not part of LoRA: {name}"
    assert caught.value.problem == problem


def test_half_of_a_module_is_refused(save: Save, tmp_path: Path) -> None:
    half = dict(list(low_rank(QUERY, *Q).items())[:1])
    adapter = save_adapter(tmp_path / "adapter", save("llama"), half)
    with pytest.raises(AttnError, match=rf"has half of {QUERY}: A or B is missing$"):
        opened(adapter).check()


def test_an_adapter_of_another_model_is_refused(save: Save, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "adapter", save("llama"), low_rank("h.0.attn.c_attn", *Q))
    with pytest.raises(AttnError) as caught:
        opened(adapter).check()
    lacking = "h.0.attn.c_attn.weight"
    assert (
        caught.value.problem == f"the adapter {adapter} does not fit its base, which has no tensor {lacking}"
    )


def test_an_adapter_of_another_width_is_refused(save: Save, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "adapter", save("llama"), low_rank(QUERY, *pair(64, 32)))
    with pytest.raises(AttnError) as caught:
        opened(adapter).check()
    shapes = f"{QUERY}.weight has the shape (32, 32), and the change (64, 32)"
    assert caught.value.problem == f"the adapter {adapter} does not fit its base: {shapes}"


def test_an_embedding_that_encoder_and_decoder_share_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base"
    save_twin("t5", base)
    adapter = save_adapter(tmp_path / "adapter", base, {"base_model.model.shared.weight": draw(4, 4)})
    with pytest.raises(AttnError, match=r"changes shared.weight, which encoder and decoder share$"):
        opened(adapter).check()


def test_a_module_that_is_not_targeted_is_named(save: Save, tmp_path: Path) -> None:
    base = save("llama")
    tensors, _, config = _only_targets(base)
    adapter = save_adapter(tmp_path / "adapter", base, tensors, **config)
    *_, remark = opened(adapter).remarks
    assert remark == f"left out: 1 module of the adapter that target_modules does not name: {QUERY}"


def test_an_adapter_without_weights_says_so(save: Save, tmp_path: Path) -> None:
    adapter = save_adapter(tmp_path / "adapter", save("llama"), low_rank(QUERY, *Q))
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(AttnError) as caught:
        opened(adapter).check()
    names = "neither adapter_model.safetensors nor adapter_model.bin"
    assert caught.value.problem == f"the adapter {adapter} has no weights: {names}"


def test_an_older_adapter_is_a_pickle(save: Save, tmp_path: Path) -> None:
    import torch

    base = save("llama")
    tensors, merged, config = _two_modules(base)
    adapter = save_adapter(tmp_path / "adapter", base, tensors, **config)
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({name: torch.tensor(each) for name, each in tensors.items()}, adapter / "adapter_model.bin")
    same(adapter, save_changed(base, tmp_path / "merged", merged))


def test_the_tokenizer_is_the_adapters_if_it_has_one(save: Save, tmp_path: Path) -> None:
    base = save("llama")
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(QUERY, *Q))
    (adapter / "tokenizer_config.json").write_text("{}")  # of its chat template: no vocabulary
    assert [token.piece for token in opened(adapter).tokens("the cat", None)] == ["<s>", "▁the", "▁cat"]
    shutil.copy(save("gpt2") / "tokenizer.json", adapter)
    assert [token.piece for token in opened(adapter).tokens("the cat", None)] == ["the", "Ġcat"]
