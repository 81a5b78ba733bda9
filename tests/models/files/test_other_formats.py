"""A directory without weights that can be read says which file it has instead, and what to try."""

from pathlib import Path

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.files.other_formats import no_weights
from attn_cli.models.open import open_checkpoint
from tests.support.files import holding
from tests.support.reference import NUMPY
from tests.support.twins import Save

FORMATS = {
    "tf_model.h5": "TensorFlow",
    "flax_model.msgpack": "Flax",
    "onnx/model.onnx": "ONNX",
    "model.onnx": "ONNX",
    "openvino_model.xml": "OpenVINO",
    "model.nemo": "NeMo",
    "last.ckpt": "PyTorch Lightning",
    "weights.npz": "MLX or NumPy",
    "__0_0.distcp": "torch.distributed.checkpoint",
    "dist/__0_0.distcp": "torch.distributed.checkpoint",
    "consolidated.00.pth": "the original code of Llama or Mistral",
    "consolidated.safetensors": "the original code of Llama or Mistral",
    "rust_model.ot": "rust-bert",
    "model.pt": "PyTorch, without Hugging Face's layout",
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_of_other_weights_is_named(name: str, save: Save) -> None:
    directory = save("llama")
    (directory / "model.safetensors").unlink()
    with pytest.raises(AttnError) as caught:
        open_checkpoint("twin", holding(directory, name), NUMPY).check()
    said = f"{name} is in the format of {FORMATS[name]}"
    assert caught.value.problem == f"{directory} has no weights that can be read: {said}"
    assert caught.value.hint


def test_a_gguf_file_beside_a_configuration_is_offered(tmp_path: Path) -> None:
    error = no_weights(holding(tmp_path, "model.gguf"))
    assert error.hint == f"-m {tmp_path}/model.gguf"


def test_shards_without_their_index_are_named(tmp_path: Path) -> None:
    error = no_weights(holding(tmp_path, "model-00001-of-00002.safetensors"))
    problem = f"{tmp_path} has shards of weights, and no model.safetensors.index.json"
    assert (error.problem, error.hint) == (problem, "download that file too")


@pytest.mark.parametrize("name", ["model.fp16.safetensors", "weights.safetensors"])
def test_weights_under_another_name_are_to_be_renamed(name: str, tmp_path: Path) -> None:
    error = no_weights(holding(tmp_path, name))
    problem = f"{tmp_path} has no weights that can be read: it has {name}"
    assert (error.problem, error.hint) == (problem, "rename it to model.safetensors, if it is the model")


@pytest.mark.parametrize("name", ["optimizer.bin", "training_args.bin", "adapter_model.safetensors"])
def test_other_files_are_not_the_weights(name: str, tmp_path: Path) -> None:
    error = no_weights(holding(tmp_path, name))
    assert error.problem == f"{tmp_path} has no weights: neither model.safetensors nor pytorch_model.bin"
