"""A model in a GGUF file, with its configuration and tensors under Hugging Face's names."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config
from attn_cli.models.files.tensors import FloatArray, Tensor
from attn_cli.models.files.weights import Weights
from attn_cli.models.gguf.families import FAMILIES, GgufFamily
from attn_cli.models.gguf.file import GgufFile, read_gguf
from attn_cli.models.gguf.metadata import HINT, check_arrays, check_metadata
from attn_cli.models.gguf.tokens import build_tokenizer
from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.record import record

_KEYS = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "intermediate_size": "feed_forward_length",
    "n_inner": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "layer_norm_epsilon": "attention.layer_norm_epsilon",
    "rope_theta": "rope.freq_base",
    "sliding_window": "attention.sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "is_causal": "attention.causal",
}
"""Config names and the metadata keys they come from, without the prefix `ARCHITECTURE.`."""

_ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
"""The tokens that end a text, or a turn of a chat (`llama_vocab::impl::load` in llama.cpp)."""

_FLAGS = {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_gate.bias"}
"""Config flags that are true if the tensor exists."""

_STRETCH = {
    "factor": "factor",
    "original_max_position_embeddings": "original_context_length",
    "beta_fast": "yarn_beta_fast",
    "beta_slow": "yarn_beta_slow",
}
_EMBEDDING = "token_embd.weight"
_HEAD = "output.weight"  # left out if the language head is the embeddings
_FREQUENCIES = "rope_freqs.weight"
_LONG, _SHORT = "rope_factors_long.weight", "rope_factors_short.weight"


@record(frozen=True, slots=True)
class GgufModel:
    """The model in a GGUF file; its tensors and its tokenizer are built on demand."""

    file: GgufFile
    architecture: str
    config: Config

    def weights(self, prefixes: Sequence[str], aliases: Mapping[str, str] | None) -> Weights:
        """The tensors under Hugging Face's names; `Weights` explains prefixes and aliases."""
        tensors = dict(_tensors(self.file, self.architecture, self.config))
        return Weights(self.config.path, tensors, prefixes, aliases)

    def tokenizer(self, *, trusts_code: bool = False) -> FastTokenizer:  # noqa: ARG002  a file has no code
        """Build the tokenizer that the file describes.

        Raises:
            AttnError: it has none, or one that cannot be rebuilt exactly.
        """
        return build_tokenizer(self.file, in_order=FAMILIES[self.architecture].merges_in_order)


def open_gguf(path: Path) -> GgufModel:
    """Open the model in the file.

    Raises:
        AttnError: the file is damaged, or its model is not supported.
    """
    file = read_gguf(path)
    kind = file.metadata.get("general.architecture", "")
    if not isinstance(kind, str) or kind in FAMILIES:
        check_arrays(file.metadata, str(kind), path)
    if kind not in FAMILIES:
        is_other = f"has an architecture that is not supported in GGUF: '{kind}'"
        problem = f"{path} {is_other if kind else 'names no architecture'}"
        raise AttnError(problem, f"use one of {', '.join(FAMILIES)}, or {HINT.removeprefix('use ')}")
    if file.metadata.get("split.count", 1) != 1:
        raise AttnError(f"{path} is only one part of a model", "join the parts: llama-gguf-split --merge")
    if file.metadata.get(f"{kind}.expert_count", 0) != 0:
        raise AttnError(f"{path} is a mixture of experts, which is not supported in GGUF", HINT)
    return GgufModel(file, kind, Config(_config(file, kind), path))


def _config(file: GgufFile, kind: str) -> dict[str, Any]:
    """The metadata as the values of a config.json; missing values are left out."""
    embedding = file.tensors.get(_EMBEDDING)
    stored = {name: file.metadata.get(f"{kind}.{key}") for name, key in _KEYS.items()}
    stored |= {"vocab_size": embedding.shape[0] if embedding else None, "rope_scaling": _rope(file, kind)}
    values = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in stored.items()
        if value is not None
    }
    values |= {name: tensor in file.tensors for name, tensor in _FLAGS.items()}
    values["eos_token_id"] = [file.metadata[key] for key in _ENDS if key in file.metadata] or None
    values["tie_word_embeddings"] = _HEAD not in file.tensors
    values.setdefault("num_key_value_heads", values.get("num_attention_heads"))
    family = FAMILIES[kind]
    check_metadata(file.metadata, kind, values, family.reads, file.path)
    return {**values, **family.more(file.metadata, values), "model_type": family.type}


def _rope(file: GgufFile, kind: str) -> dict[str, Any] | None:
    """The `rope_scaling` of the config: a factor for each pair of features, or one for all; None without."""
    if _LONG in file.tensors and _SHORT in file.tensors:  # Phi's
        both = {"long_factor": _factors(file, _LONG), "short_factor": _factors(file, _SHORT)}
        gain = file.metadata.get(f"{kind}.rope.scaling.attn_factor")
        return {"rope_type": "longrope", "attention_factor": gain, **both}
    if _FREQUENCIES in file.tensors:  # Llama 3's factors, precomputed; expressed as longrope
        factors = _factors(file, _FREQUENCIES)
        known = file.metadata.get(f"{kind}.context_length")
        same = {"long_factor": factors, "short_factor": factors, "attention_factor": 1.0, "factor": 1.0}
        return {"rope_type": "longrope", "original_max_position_embeddings": known, **same}
    scaling = {field: file.metadata.get(f"{kind}.rope.scaling.{key}") for field, key in _STRETCH.items()}
    if scaling["factor"] is None:
        scaling["factor"] = file.metadata.get(f"{kind}.rope.scale_linear")  # the key of older files
    # A factor without a type is linear, and a factor of 0 is none (`load_hparams` in llama-model.cpp).
    name = file.metadata.get(f"{kind}.rope.scaling.type", "linear" if scaling["factor"] else "none")
    return None if name == "none" else {"rope_type": name} | scaling


def _factors(file: GgufFile, name: str) -> list[float]:
    tensor = file.tensors[name]
    if tensor.numbers is None:
        raise AttnError(f"the tensor {name} in {file.path} has an unsupported type: {tensor.dtype}", HINT)
    factors: list[float] = tensor.numbers(None).ravel().tolist()
    return factors


def _tensors(file: GgufFile, kind: str, config: Config) -> Iterator[tuple[str, Tensor]]:
    """The tensors under every name that the package `gguf` has for them, Hugging Face's included."""
    import gguf

    kinds = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    names = (re.match(r"blk\.(\d+)\.", name) for name in file.tensors)
    blocks = 1 + max((int(block[1]) for block in names if block), default=0)
    names_in_gguf = gguf.get_tensor_name_map(kinds[kind], min(blocks, len(file.tensors))).mapping
    for name, (_, stored) in names_in_gguf.items():
        for end in ("weight", "bias"):
            tensor = file.tensors.get(f"{stored}.{end}")
            if tensor is not None:
                yield f"{name}.{end}", _as_hugging_face(tensor, f"{stored}.{end}", FAMILIES[kind], config)


def _as_hugging_face(tensor: Tensor, name: str, family: GgufFamily, config: Config) -> Tensor:
    """The tensor with the changes of llama.cpp's converter undone."""
    if family.has_pairs and (side := re.search(r"\.attn_([qk])\.", name)):
        heads = "num_attention_heads" if side[1] == "q" else "num_key_value_heads"
        return _halve_pairs(tensor, config.count(heads))
    if family.gain_offset and name.endswith("norm.weight"):
        return _change(tensor, tensor.shape, lambda whole: whole - family.gain_offset)
    if family.is_transposed and re.fullmatch(
        r"blk\.\d+\.(attn_qkv|attn_output|ffn_up|ffn_down)\.weight", name
    ):
        return _change(tensor, tensor.shape[::-1], lambda whole: whole.T)
    return tensor


def _change(tensor: Tensor, shape: tuple[int, ...], change: Callable[[FloatArray], FloatArray]) -> Tensor:
    """The tensor with `change` applied to all of it when it is read."""
    read = tensor.numbers
    if read is None:
        return Tensor(tensor.path, tensor.dtype, shape, None)

    def numbers(rows: Sequence[int] | None) -> FloatArray:
        whole = change(read(None))
        return whole if rows is None else whole[list(rows)]

    return Tensor(tensor.path, tensor.dtype, shape, numbers)


def _halve_pairs(tensor: Tensor, heads: int) -> Tensor:
    """The tensor with the rows of each head in Hugging Face's order for RoPE: first halves, then second.

    In GGUF the two features of a pair are adjacent (`permute` in `convert_hf_to_gguf.py`).
    """
    if tensor.shape[0] % (2 * heads):
        return tensor

    def halved(whole: FloatArray) -> FloatArray:
        paired = whole.reshape(heads, whole.shape[0] // heads // 2, 2, *whole.shape[1:])
        halves: FloatArray = paired.swapaxes(1, 2).reshape(whole.shape)
        return halves

    return _change(tensor, tensor.shape, halved)
