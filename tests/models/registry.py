"""A tiny random twin of every model type that transformers has, and what its eager attention says.

A fresh model attends almost evenly: weights are made larger until rows are peaked, and whatever begins as
zeros or ones is made random, so that no bias and no norm can be left out unseen.
"""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import transformers
from transformers.models.auto import configuration_auto

from attn_cli.models.eager import sketch
from attn_cli.vocabulary import Kind
from tests.models.judge import Numbers

T, U = 11, 6  # tokens of the text and of the decoder's

_names: Any = configuration_auto
TYPES: tuple[str, ...] = tuple(sorted(_names.CONFIG_MAPPING_NAMES))

_SIZES: Mapping[str, int] = MappingProxyType(
    {
        name: size
        for size, names in {
            128: "vocab_size n_words src_vocab_size tgt_vocab_size encoder_vocab_size decoder_vocab_size "
            "vocab_size_per_layer_input sinusoidal_base",
            32: "hidden_size d_model n_embd dim embed_dim embedding_size emb_dim encoder_hidden_size "
            "decoder_hidden_size lm_hidden_size projection_dim attention_hidden_size lru_width "
            "n_embed width hidden_dim decoder_width",
            3: "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_layer "
            "num_encoder_layers num_decoder_layers encoder_num_layers decoder_num_layers depth",
            4: "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads "
            "num_encoder_attention_heads num_decoder_attention_heads num_experts num_local_experts "
            "n_routed_experts moe_num_experts num_attention_heads_per_layer",
            2: "num_key_value_heads num_kv_heads num_experts_per_tok moe_topk moe_k top_k num_experts_per_token",
            1: "n_group topk_group n_shared_experts first_k_dense_replace num_shared_experts",
            8: "head_dim d_kv d_head qk_nope_head_dim v_head_dim attention_head_size hidden_size_per_layer_input "
            "swa_head_dim",
            48: "intermediate_size d_ff ffn_dim encoder_ffn_dim decoder_ffn_dim n_inner d_inner "
            "moe_intermediate_size shared_expert_intermediate_size ffn_hidden_size dense_intermediate_size "
            "moe_shared_expert_intermediate_size shared_intermediate_size expert_ffn_hidden_size",
            64: "max_position_embeddings n_positions n_ctx max_seq_len model_max_length "
            "max_target_positions max_source_positions",
            16: "kv_lora_rank",
            24: "q_lora_rank",
        }.items()
        for name in names.split()
    }
)
_SPECIAL = MappingProxyType(
    {
        "qk_rope_head_dim": 4,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "dropout": 0.0,
    }
)

_OWN: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


_LARGEST = 8_000_000


class NoTwinError(Exception):
    """We do not know how to make a small one."""


def config_of(kind: str) -> Any:
    """A tiny configuration of the type."""
    return _tiny(transformers.AutoConfig.for_model(kind).__class__, _OWN.get(kind, {}))


def _tiny(family: Any, own: Mapping[str, Any]) -> Any:
    fields = {each.name for each in dataclasses.fields(family)} if dataclasses.is_dataclass(family) else set()
    fields |= set(inspect.signature(family.__init__).parameters)
    given = {name: size for name, size in (*_SIZES.items(), *_SPECIAL.items()) if name in fields}
    for name, inner in (getattr(family, "sub_configs", None) or {}).items():
        if name in fields and not name.startswith(("vision", "audio")) and inner is not transformers.AutoConfig:
            given[name] = _tiny(inner, {}).to_dict()
    return family(**(given | dict(own)))


def twin_of(kind: str, directory: Path) -> Any:
    """The twin, saved in `directory`, in which its rows are peaked."""
    config = config_of(kind)
    size = sum(parameter.numel() for parameter in sketch(config).parameters())
    if size > _LARGEST:
        raise NoTwinError(f"a configuration of small numbers has {size:,} weights")
    from attn_cli.models.eager import _builder

    torch.manual_seed(0)
    model = _builder(config).from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    _stir(model)
    model.save_pretrained(directory)
    return model


_ASKING = ("query", "key", "q_", "k_", "qkv", "attn.q", "attn.k", "wqk", "attention", "attn", "rel_attn")


@torch.no_grad()
def _stir(model: torch.nn.Module) -> None:
    draw = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=draw)
        if parameter.ndim == 1:
            if name.endswith(("weight", "bias")) or not parameter.any():
                parameter += 0.3 * noise
        elif not parameter.any():
            parameter += 0.3 * noise
        elif parameter.ndim == 2 and parameter.std() < 0.1:
            parameter *= 5
            if any(part in name for part in _ASKING):
                parameter *= 2


def inputs_of(model: Any) -> dict[str, Any]:
    """The ids of a text, and of the decoder's; the same twice in it, as words are."""
    ids = [9, 17, 30, 41, 9, 55, 30, 62, 71, 17, 5]
    given: dict[str, Any] = {"input_ids": torch.tensor([ids[:T]])}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = torch.tensor([[2, 33, 44, 33, 51, 60][:U]])
    return given


def judged(model: Any) -> dict[Kind, list[Numbers]]:
    """The weights (H, T, S) of every layer that eager attention gives back, by kind."""
    with torch.no_grad():
        found = model(**inputs_of(model), output_attentions=True)
    names = {
        Kind.SELF: "attentions",
        Kind.ENCODER: "encoder_attentions",
        Kind.DECODER: "decoder_attentions",
        Kind.CROSS: "cross_attentions",
    }
    by_kind = {kind: getattr(found, name, None) for kind, name in names.items()}
    return {kind: list(_plain(each)) for kind, each in by_kind.items() if each}


def _plain(layers: Any) -> Iterator[Numbers]:
    for each in layers:
        if isinstance(each, torch.Tensor):
            yield each[0].numpy() if each.ndim == 4 else each.numpy()
        elif isinstance(each, (tuple, list)):
            yield from _plain(each)


def peak_of(weights: Numbers) -> float:
    """The mean of the rows' largest weights."""
    return float(np.mean(weights.max(axis=-1)))
