"""A model in a GGUF file, under the names that Hugging Face has for its configuration and its tensors."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attn_cli.errors import AttnError
from attn_cli.models.config import Config
from attn_cli.models.files import Weights
from attn_cli.models.gguf_file import GgufFile, read_gguf
from attn_cli.models.gguf_tokens import gguf_tokenizer
from attn_cli.models.parts import Parts
from attn_cli.models.tensors import Numbers, Tensor

_HINT = "use the model's directory in Hugging Face layout"


@dataclass(frozen=True, slots=True)
class _Family:
    """How GGUF spells a family: `gguf-py/gguf/constants.py`, `convert_hf_to_gguf.py` in llama.cpp."""

    keys: Mapping[str, str]  # of the config, each with the end of the key in the metadata
    biases: Mapping[str, str]  # flags of the config, each with the tensor that is there where it is true
    tensors: Mapping[str, str]  # what the file calls a part, and what Hugging Face does
    turned: Mapping[str, str]  # parts whose rows stand in pairs for RoPE, each with the key of their heads


_LAYER = "layers.{layer}."
_FAMILIES = {
    "llama": _Family(
        keys={
            "hidden_size": "embedding_length",
            "num_hidden_layers": "block_count",
            "num_attention_heads": "attention.head_count",
            "num_key_value_heads": "attention.head_count_kv",
            "head_dim": "attention.key_length",
            "intermediate_size": "feed_forward_length",
            "max_position_embeddings": "context_length",
            "rms_norm_eps": "attention.layer_norm_rms_epsilon",
            "rope_theta": "rope.freq_base",
        },
        biases={"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_gate.bias"},
        tensors={
            "token_embd": "embed_tokens",
            "output_norm": "norm",
            "attn_norm": _LAYER + "input_layernorm",
            "attn_q": _LAYER + "self_attn.q_proj",
            "attn_k": _LAYER + "self_attn.k_proj",
            "attn_v": _LAYER + "self_attn.v_proj",
            "attn_output": _LAYER + "self_attn.o_proj",
            "ffn_norm": _LAYER + "post_attention_layernorm",
            "ffn_gate": _LAYER + "mlp.gate_proj",
            "ffn_up": _LAYER + "mlp.up_proj",
            "ffn_down": _LAYER + "mlp.down_proj",
        },
        turned={"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"},
    ),
}
_EMBEDDING = "token_embd.weight"
_FREQUENCIES = "rope_freqs.weight"


def gguf_parts(path: Path) -> Parts:
    """The parts of the model in the file.

    Raises:
        AttnError: the file is damaged, or holds a model that is not known here.
    """
    file = read_gguf(path)
    kind = file.metadata.get("general.architecture")
    if not isinstance(kind, str) or kind not in _FAMILIES:
        problem = f"{path} holds a model of the architecture '{kind}', which is not known in GGUF"
        raise AttnError(problem, f"use one of {', '.join(_FAMILIES)}, or {_HINT.removeprefix('use ')}")
    if file.metadata.get("split.count", 1) != 1:
        raise AttnError(f"{path} is a part of a model", "join the parts: llama-gguf-split --merge")
    if file.metadata.get(f"{kind}.expert_count", 0) != 0:
        raise AttnError(f"{path} holds a mixture of experts, which is not known in GGUF", _HINT)
    config = Config(_config(file, kind, _FAMILIES[kind]), path)

    def weights(prefixes: Sequence[str], aliases: Mapping[str, str] | None) -> Weights:
        return Weights(path, dict(_tensors(file, config, _FAMILIES[kind])), prefixes, aliases)

    return Parts(config, weights, partial(gguf_tokenizer, file))


def _config(file: GgufFile, kind: str, family: _Family) -> dict[str, Any]:
    """The metadata as a config.json would have it."""
    embedding = file.tensors.get(_EMBEDDING)
    found = {name: file.metadata.get(f"{kind}.{key}") for name, key in family.keys.items()}
    values = {name: each.tolist() if isinstance(each, np.ndarray) else each for name, each in found.items()}
    values |= {name: tensor in file.tensors for name, tensor in family.biases.items()}
    values |= {"model_type": kind, "vocab_size": embedding.shape[0] if embedding else None}
    return values | {"rope_parameters": _rope(file, kind)}


def _rope(file: GgufFile, kind: str) -> dict[str, Any] | None:
    """What stretches the rotary embedding: a factor for every pair of features, or one for all."""
    frequencies = file.tensors.get(_FREQUENCIES)
    if frequencies is not None:  # Llama 3's, already computed; Phi's longrope has the same form
        if frequencies.numbers is None:
            raise AttnError(f"the tensor {_FREQUENCIES} in {file.path} is of type {frequencies.dtype}", _HINT)
        factors = frequencies.numbers(None).ravel().tolist()
        known = file.metadata.get(f"{kind}.context_length")
        own = {"long_factor": factors, "short_factor": factors, "attention_factor": 1.0, "factor": 1.0}
        return {"rope_type": "longrope", "original_max_position_embeddings": known, **own}
    name = file.metadata.get(f"{kind}.rope.scaling.type", "none")
    if name == "none":
        return None
    return {
        "rope_type": name,
        "factor": file.metadata.get(f"{kind}.rope.scaling.factor"),
        "original_max_position_embeddings": file.metadata.get(f"{kind}.rope.scaling.original_context_length"),
    }


def _tensors(file: GgufFile, config: Config, family: _Family) -> Iterator[tuple[str, Tensor]]:
    """The tensors under Hugging Face's names; others, such as the output's, are left out."""
    for name, tensor in file.tensors.items():
        found = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
        if found is None or found[2] not in family.tensors:
            continue
        layer, part, end = found.groups()
        heads = config.count(family.turned[part]) if part in family.turned else None
        yield f"{family.tensors[part].format(layer=layer)}.{end}", _in_halves(tensor, heads)


def _in_halves(tensor: Tensor, heads: int | None) -> Tensor:
    """The tensor, whose rows in each head stand as Hugging Face turns them: first halves, then second.

    GGUF has the two features of a pair side by side (`permute` in `convert_hf_to_gguf.py`).
    """
    read = tensor.numbers
    if heads is None or read is None or tensor.shape[0] % (2 * heads):
        return tensor

    def numbers(rows: Sequence[int] | None) -> Numbers:
        whole = read(None)
        paired = whole.reshape(heads, whole.shape[0] // heads // 2, 2, *whole.shape[1:])
        halves: Numbers = paired.swapaxes(1, 2).reshape(whole.shape)
        return halves if rows is None else halves[list(rows)]

    return Tensor(tensor.path, tensor.dtype, tensor.shape, numbers)
