"""8-bit floats with a scale per block are multiplied by it, exactly; other scales are refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from attn_cli.errors import AttnError
from attn_cli.models.files.fp8 import widen_fp8
from attn_cli.models.files.weights import open_weights
from attn_cli.models.open import open_checkpoint
from tests.support.files import tensors_of
from tests.support.reference import NUMPY, every_weight_of
from tests.support.twins import TEXTS, Save
from tests.support.worlds import attn

FORMATS = {
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
}
LARGEST = 448  # of E4M3
REMARK = (
    "the weights are quantised (FP8): they are multiplied by their scales, and activations are not quantised"
)


@pytest.mark.parametrize("name", FORMATS)
def test_every_byte_is_the_number_of_torch(name: str) -> None:
    every = torch.arange(256, dtype=torch.uint8)
    np.testing.assert_array_equal(widen_fp8(every.numpy(), name), every.view(FORMATS[name]).float().numpy())


def quantised(
    directory: Path, block: tuple[int, int], scales: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """Quantise the projections of the checkpoint, and return what they stand for."""
    stored: dict[str, torch.Tensor] = {}
    meant: dict[str, torch.Tensor] = {}
    for name, weight in tensors_of(directory / "model.safetensors").items():
        stored[name] = meant[name] = weight
        if "_proj" in name:
            rows, columns = (-(-size // side) for size, side in zip(weight.shape, block, strict=True))
            scale = torch.zeros(rows, columns, dtype=scales)
            stored[name], meant[name] = (
                torch.zeros_like(weight).to(torch.float8_e4m3fn),
                torch.zeros_like(weight),
            )
            for i, j in np.ndindex(rows, columns):
                part = (slice(i * block[0], (i + 1) * block[0]), slice(j * block[1], (j + 1) * block[1]))
                scale[i, j] = weight[part].abs().max() / LARGEST
                stored[name][part] = (weight[part] / scale[i, j].float()).to(torch.float8_e4m3fn)
                meant[name][part] = stored[name][part].float() * scale[i, j].float()
            stored[f"{name}_scale_inv"] = scale
    save_file(stored, directory / "model.safetensors", {"format": "pt"})
    config = directory / "config.json"
    said = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": list(block)}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": said}))
    return meant


@pytest.mark.parametrize("scales", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("block", [(16, 16), (8, 48), (24, 20)])  # the last divides no side
def test_a_block_is_multiplied_by_its_scale(
    block: tuple[int, int], scales: torch.dtype, save: Save, tmp_path: Path
) -> None:
    directory = save("llama")
    plain = shutil.copytree(directory, tmp_path / "plain")
    save_file(quantised(directory, block, scales), plain / "model.safetensors", {"format": "pt"})
    found = open_checkpoint("twin", directory, NUMPY)
    expected = every_weight_of(open_checkpoint("plain", plain, NUMPY), TEXTS[0])
    assert (found.engine, found.remarks) == ("native", (REMARK,))
    for ours, theirs in zip(every_weight_of(found, TEXTS[0]), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_transformers_reads_the_same_numbers(save: Save) -> None:
    directory = save("llama")
    quantised(directory, (16, 16))
    try:
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    except ModuleNotFoundError as error:
        pytest.skip(f"this version of transformers cannot read FP8 here: {error}")
    ours = open_weights(directory).tensors
    for name, parameter in model.named_parameters():
        read = ours[name].numbers
        assert read is not None
        theirs = parameter.detach().float().numpy()
        np.testing.assert_allclose(read(None), theirs, rtol=2**-8)  # transformers 5.0 rounds to bfloat16
        np.testing.assert_array_equal(read([1, 0]), read(None)[[1, 0]])


@pytest.mark.parametrize("name", ["llama", "cohere"])
def test_the_judge_runs_the_same_weights(name: str, save: Save) -> None:
    directory = save(name)
    quantised(directory, (16, 16))
    answer = attn("verify", "the cat sat", "-m", directory)
    assert answer.status == 0, answer.err
    assert answer.err.startswith(f"{REMARK}\n")


def test_8_bit_floats_without_scales_are_numbers(save: Save, tmp_path: Path) -> None:
    directory = save("llama")
    plain = shutil.copytree(directory, tmp_path / "plain")
    tensors = tensors_of(directory / "model.safetensors")
    eights = {name: tensor.to(torch.float8_e5m2) for name, tensor in tensors.items()}
    save_file(eights, directory / "model.safetensors", {"format": "pt"})
    floats = {name: tensor.float() for name, tensor in eights.items()}
    save_file(floats, plain / "model.safetensors", {"format": "pt"})
    expected = every_weight_of(open_checkpoint("plain", plain, NUMPY), TEXTS[0])
    for ours, theirs in zip(
        every_weight_of(open_checkpoint("twin", directory, NUMPY), TEXTS[0]), expected, strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["llama", "cohere"])
@pytest.mark.parametrize("end", ["_scale", "_scale_inv"])
def test_scales_that_do_not_fit_are_refused(kind: str, end: str, save: Save) -> None:
    directory = save(kind)
    tensors = tensors_of(directory / "model.safetensors")
    name = next(
        name
        for name in tensors
        if (name.endswith("o_proj.weight") and ".2." in name) or "1.self_attn.o_proj" in name
    )
    tensors[name] = tensors[name].to(torch.float8_e4m3fn)
    save_file(tensors | {name + end: torch.ones(5, 7)}, directory / "model.safetensors", {"format": "pt"})
    pattern = r"^the weights in .* are quantised \(FP8.*\), and cannot be read here$"
    with pytest.raises(AttnError, match=pattern):
        read_all(directory)


def read_all(directory: Path) -> None:
    found = open_checkpoint("twin", directory, NUMPY)
    found.check()
    every_weight_of(found, TEXTS[0])
