"""A quantised checkpoint is read by the package that knows its method, or refused by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import GptOssConfig
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from attn_cli.errors import AttnError
from attn_cli.models.files import quantisation
from attn_cli.models.open import open_checkpoint, open_source
from attn_cli.models.source import SourceRequest
from tests.support.adapters import low_rank, pair, save_adapter
from tests.support.every_type import save_twin
from tests.support.files import tensors_of
from tests.support.reference import NUMPY, every_weight_of
from tests.support.twins import TEXTS, Recipe, Save
from tests.support.worlds import attn, refused

PLAIN = "use a checkpoint that is not quantised"


def say(directory: Path, **values: Any) -> Path:
    config = directory / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | values))
    return directory


@pytest.fixture(params=["llama", "cohere"], ids=["native", "bridge"])
def directory(request: pytest.FixtureRequest, save: Save) -> Path:
    return save(request.param)


METHODS = {
    "awq": ("AWQ", "gptqmodel"),
    "gptq": ("GPTQ", "gptqmodel"),
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"),
    "compressed-tensors": ("compressed-tensors", "compressed-tensors"),
    "hqq": ("HQQ", "hqq"),
    "torchao": ("torchao", "torchao"),
    "quanto": ("Quanto", "optimum-quanto"),
    "aqlm": ("AQLM", "aqlm"),
}


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "find_spec", lambda _: None)


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("method", METHODS)
def test_the_method_and_its_package_are_named(method: str, directory: Path) -> None:
    name, package = METHODS[method]
    answer = attn("inspect", "the cat", "-m", say(directory, quantization_config={"quant_method": method}))
    problem = f"{directory} is quantised with {name}, and the package {package} is missing"
    assert refused(answer) == (1, problem, f"pip install {package}, or {PLAIN}")


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize(
    ("said", "what"),
    [
        (
            {"quantization_config": {"load_in_4bit": True}},
            "bitsandbytes, and the package bitsandbytes is missing",
        ),
        (
            {"compression_config": {"format": "int-quantized"}},
            "compressed-tensors, and the package compressed-tensors is missing",
        ),
        ({"quantization": {"group_size": 64, "bits": 4}}, "MLX, which cannot be read here"),
        ({"quantization_config": {"quant_method": "frob"}}, "frob, which cannot be read here"),
        ({"quantization_config": {"bits": 3}}, "an unknown method, which cannot be read here"),
        ({"quantization_config": "int8"}, "an unknown method, which cannot be read here"),
    ],
)
def test_other_ways_to_say_it_are_understood(said: Any, what: str, directory: Path) -> None:
    with pytest.raises(AttnError) as caught:
        open_checkpoint("twin", say(directory, **said), NUMPY)
    assert caught.value.problem == f"{directory} is quantised with {what}"


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_empty_entry_quantises_nothing(nothing: Any, directory: Path) -> None:
    found = open_checkpoint("twin", say(directory, quantization_config=nothing), NUMPY)
    found.check()
    assert every_weight_of(found, TEXTS[0])


def test_a_package_that_cannot_read_the_files_is_no_missing_tensor(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantisation, "find_spec", lambda _: True)  # installed, and unusable here
    said = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    answer = attn("inspect", "the cat", "-m", say(directory, quantization_config=said), "-s", "weights")
    status, problem, hint = refused(answer)
    assert (status, hint) == (1, PLAIN)
    assert problem.startswith(f"{directory} is quantised, and transformers ")


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_integers_are_never_read_as_floats(dtype: torch.dtype, file: str, directory: Path) -> None:
    path = directory / "model.safetensors"
    tensors = tensors_of(path)
    path.unlink()
    whole = {name: tensor.to(dtype) if tensor.ndim > 1 else tensor for name, tensor in tensors.items()}
    if file.endswith("bin"):
        torch.save(whole, directory / file)
    else:
        save_file(whole, path, {"format": "pt"})
    with pytest.raises(AttnError, match=r"has an unsupported type: (I8|U8|int8|uint8)$"):
        open_checkpoint("twin", directory, NUMPY).check()


def test_an_adapter_is_not_merged_into_integers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "find_spec", lambda _: True)
    base, name = tmp_path / "base", "layers.0.self_attn.q_proj"
    save_twin("cohere", base)
    tensors = tensors_of(base / "model.safetensors")
    rows, columns = tensors[f"{name}.weight"].shape
    tensors |= {key: each.to(torch.int8) for key, each in tensors.items() if key.endswith("v_proj.weight")}
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    say(base, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})
    adapter = save_adapter(tmp_path / "adapter", base, low_rank(name, *pair(rows, columns)))
    with pytest.raises(AttnError) as caught:
        open_source(SourceRequest(str(adapter)), {"HF_HUB_OFFLINE": "1"}).check()
    problem = f"the adapter {adapter} cannot be merged: the weights of its base are quantised"
    assert caught.value.problem == problem


NAMES = {
    "q_proj.qweight": "GPTQ or AWQ",
    "q_proj.SCB": "bitsandbytes with 8 bits",
    "q_proj.weight.absmax": "bitsandbytes with 4 bits",
    "q_proj.weight_packed": "compressed-tensors",
    "q_proj.W_q": "HQQ",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_names_of_the_tensors_tell_the_method(name: str, directory: Path) -> None:
    path = directory / "model.safetensors"
    tensors = tensors_of(path)
    for stored in [key for key in tensors if key.endswith("o_proj.weight")]:
        tensors[stored] = tensors[stored].to(torch.int8)
    save_file(tensors | {f"layers.0.{name}": torch.ones(2)}, path, {"format": "pt"})
    with pytest.raises(AttnError) as caught:
        open_checkpoint("twin", directory, NUMPY).check()
    problem = f"the weights in {directory} are quantised ({NAMES[name]}), and cannot be read here"
    assert (caught.value.problem, caught.value.hint) == (problem, PLAIN)


def test_the_4_bit_experts_of_gpt_oss_are_those_of_transformers(tmp_path: Path) -> None:
    config = GptOssConfig(
        vocab_size=300,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=2,
    )
    packed, plain = tmp_path / "packed", tmp_path / "plain"
    Recipe("GptOssForCausalLM", config, 1.65).save(packed)
    shutil.copytree(packed, plain)
    draw = torch.Generator().manual_seed(0)
    stored, meant = tensors_of(packed / "model.safetensors"), tensors_of(packed / "model.safetensors")
    for name in [name for name in stored if name.endswith(("gate_up_proj", "down_proj"))]:
        experts, inputs, outputs = stored.pop(name).shape
        blocks = torch.randint(
            0, 256, (experts, outputs, inputs // 32, 16), dtype=torch.uint8, generator=draw
        )
        scales = torch.randint(120, 126, blocks.shape[:-1], dtype=torch.uint8, generator=draw)
        stored |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        meant[name] = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
    save_file(stored, packed / "model.safetensors", {"format": "pt"})
    save_file(meant, plain / "model.safetensors", {"format": "pt"})
    kept = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    say(packed, quantization_config={"quant_method": "mxfp4", "modules_to_not_convert": kept})
    found = open_checkpoint("packed", packed, NUMPY)
    found.check()
    assert found.remarks[0] == "the weights are quantised (MXFP4): transformers runs them so"
    expected = every_weight_of(open_checkpoint("plain", plain, NUMPY), TEXTS[0])
    for ours, theirs in zip(every_weight_of(found, TEXTS[0]), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
