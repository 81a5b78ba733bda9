"""Recognises files of other libraries and formats, so that an error can say what a directory holds.

Imports nothing heavy, since `hub/locate.py` needs it.
"""

from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.record import record

READABLE = ("model.safetensors", "pytorch_model.bin")
"""The files of weights that are read, if they are not in shards."""

_SAVED = "save it with save_pretrained of transformers, and name that directory"
_SOURCE = "use the checkpoint that it was converted from"
_OLD = "transformers 4 converts it: from_pretrained(..., {}=True), then save_pretrained"
_META = "the same model in Hugging Face layout, or convert it with convert_llama_weights_to_hf.py"


@record(frozen=True, slots=True)
class OtherFormat:
    """A format that cannot be read: its name, and what can be done."""

    name: str
    hint: str


_FORMATS = {
    "tf_model*.h5": OtherFormat("TensorFlow", _OLD.format("from_tf")),
    "*.ckpt.index": OtherFormat("TensorFlow", _OLD.format("from_tf")),
    "saved_model.pb": OtherFormat("TensorFlow", _SOURCE),
    "*.tflite": OtherFormat("TensorFlow Lite", _SOURCE),
    "flax_model*.msgpack": OtherFormat("Flax", _OLD.format("from_flax")),
    "flax_model.msgpack.index.json": OtherFormat("Flax", _OLD.format("from_flax")),
    "*.onnx": OtherFormat("ONNX", _SOURCE),
    "onnx/*.onnx": OtherFormat("ONNX", _SOURCE),
    "openvino_model.xml": OtherFormat("OpenVINO", _SOURCE),
    "*.mlpackage": OtherFormat("Core ML", _SOURCE),
    "*.mlmodel": OtherFormat("Core ML", _SOURCE),
    "rust_model.ot": OtherFormat("rust-bert", _SOURCE),
    "*.nemo": OtherFormat("NeMo", _SOURCE),
    "consolidated.*": OtherFormat("the original code of Llama or Mistral", _META),
    "consolidated-*": OtherFormat("the original code of Llama or Mistral", _META),
    ".metadata": OtherFormat("torch.distributed.checkpoint", _SAVED),
    "*.distcp": OtherFormat("torch.distributed.checkpoint", _SAVED),
    "*/*.distcp": OtherFormat("torch.distributed.checkpoint", _SAVED),
    "global_step*/*.pt": OtherFormat("DeepSpeed", "run zero_to_fp32.py, which lies beside it"),
    "adapters.safetensors": OtherFormat(
        "an adapter of MLX", "merge it with mlx_lm.fuse, and name its directory"
    ),
    "adapters.npz": OtherFormat("an adapter of MLX", "merge it with mlx_lm.fuse, and name its directory"),
    "pytorch_adapter.bin": OtherFormat(
        "an adapter of AdapterHub", "merge it with the package adapters first"
    ),
    "*.npz": OtherFormat("MLX or NumPy", _SOURCE),
    "ggml*.bin": OtherFormat("GGML", "the same model as a .gguf file"),
    "*.gguf": OtherFormat("GGUF", ""),
    "*.ckpt": OtherFormat("PyTorch Lightning", _SAVED),
    "*.pth": OtherFormat("PyTorch, without Hugging Face's layout", _SAVED),
    "*.pt": OtherFormat("PyTorch, without Hugging Face's layout", _SAVED),
}
"""Names of files, the most telling first, and their formats."""

_SHARDS = ("model-*-of-*.safetensors", "pytorch_model-*-of-*.bin")


def other_weights(directory: Path) -> tuple[Path, OtherFormat] | None:
    """A file of weights in another format, and that format; None if there is none."""
    for pattern, form in _FORMATS.items():
        file = next(iter(sorted(directory.glob(pattern))), None)
        if file is not None:
            return file, form
    return None


def no_weights(directory: Path) -> AttnError:
    """The error for a directory with a configuration and without weights that can be read."""
    problem = f"{directory} has no weights that can be read"
    for pattern in _SHARDS:
        shards = sorted(directory.glob(pattern))
        if shards:
            index = f"{pattern.partition('-')[0]}{shards[0].suffix}.index.json"
            return AttnError(f"{directory} has shards of weights, and no {index}", "download that file too")
    for pattern in ("*.safetensors", "*.bin"):
        others = [file for file in sorted(directory.glob(pattern)) if _is_weights(file)]
        if others:
            name = READABLE[0] if pattern == "*.safetensors" else READABLE[1]
            hint = f"rename it to {name}, if it is the model"
            return AttnError(f"{problem}: it has {others[0].name}", hint)
    other = other_weights(directory)
    if other is not None:
        file, form = other
        hint = form.hint or f"-m {file}"
        return AttnError(f"{problem}: {file.relative_to(directory)} is in the format of {form.name}", hint)
    return AttnError(
        f"{directory} has no weights: neither {' nor '.join(READABLE)}", "download the model again"
    )


def _is_weights(file: Path) -> bool:
    """Whether the file may be the weights of the model: adapters, optimizers and arguments are not."""
    return not file.name.startswith(
        ("adapter", "optimizer", "scheduler", "training_args", "ggml", "pytorch_adapter")
    )
