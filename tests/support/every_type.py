"""A tiny random twin of every model type in transformers, and how attn supports it.

A newly initialised model attends almost uniformly: its weights are enlarged until rows are peaked, and
whatever is initialised to zeros or ones is randomised, so that a missing bias or norm is noticed.

Run as a module, it writes a file of the package, `attn_cli/models/bridge/support.json`. It is among the tests
because it uses their twins, and the package should not contain the code that creates them.
"""

import dataclasses
import importlib
import inspect
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import transformers
from transformers.models.auto import configuration_auto

from attn_cli.errors import AttnError
from attn_cli.models.bridge.captured_layer import CapturedLayer
from attn_cli.models.bridge.hf_models import (
    CLASSES,
    build_sketch,
    has_decoder,
    model_builder,
    of_text,
    reads_text,
)
from attn_cli.models.bridge.plan import CannotSketchError, plan_attention
from attn_cli.models.bridge.support import FILE
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source, Texts
from attn_cli.models.tokens.token import Token
from attn_cli.vocabulary import Kind
from tests.support.reference import NUMPY, Numbers, weights_of
from tests.support.twins import save_tokenizer, word_piece

_names: Any = configuration_auto
TYPES: tuple[str, ...] = tuple(sorted(_names.CONFIG_MAPPING_NAMES))

# Float32's rounding: ours and eager's weights differ by 1e-6 at most where they differ at all.
CLOSE = 2e-5

IDS = (9, 17, 30, 41, 9, 55, 30, 62, 71, 17, 5)  # the same twice in it, as words are
TARGET = (2, 33, 44, 33, 51, 60)

_PEAKED = 0.5
_LONGEST = 160  # characters of a reason
_LARGEST = 130_000_000

_NAMES: Mapping[int, str] = MappingProxyType(
    {
        128: "vocab_size n_words src_vocab_size tgt_vocab_size encoder_vocab_size decoder_vocab_size",
        16: "entity_vocab_size pronunciation_vocab_size shape_vocab_size entity_emb_size kv_lora_rank",
        64: "max_position_embeddings n_positions n_ctx max_seq_len max_target_positions num_landmarks",
        48: "intermediate_size d_ff ffn_dim encoder_ffn_dim decoder_ffn_dim n_inner d_inner ffn_hidden_size",
        32: "hidden_size d_model n_embd dim embed_dim embedding_size emb_dim encoder_hidden_size lru_width",
        24: "q_lora_rank",
        8: "head_dim d_kv d_head qk_nope_head_dim v_head_dim attention_head_size hidden_size_per_layer_input",
        4: "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads",
        3: "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_layer depth",
        2: "num_key_value_heads num_kv_heads num_experts_per_tok moe_topk moe_k top_k",
        1: "n_group topk_group n_shared_experts first_k_dense_replace num_shared_experts bos_token_id",
        0: "pad_token_id",
    }
)
_MORE_NAMES: Mapping[int, str] = MappingProxyType(
    {
        48: "moe_intermediate_size shared_expert_intermediate_size moe_shared_expert_intermediate_size "
        "dense_intermediate_size shared_intermediate_size expert_ffn_hidden_size",
        32: "decoder_hidden_size lm_hidden_size projection_dim out_hidden_size text_hidden_size "
        "audio_hidden_size condition_dim",
        4: "num_encoder_attention_heads num_decoder_attention_heads num_experts num_local_experts "
        "n_routed_experts moe_num_experts rotary_dim qk_rope_head_dim",
        3: "num_encoder_layers num_decoder_layers encoder_num_layers decoder_num_layers",
        2: "eos_token_id decoder_start_token_id",
    }
)
_SIZES: Mapping[str, int] = MappingProxyType(
    {name: size for table in (_NAMES, _MORE_NAMES) for size, names in table.items() for name in names.split()}
)

_FOUR = {"num_hidden_layers": 4}  # of three none attends
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8}
_MROPE = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
}
_MROPE_OF_HALF = {
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.5,
        "mrope_section": [1, 1, 0],
    },
}
_BYTES = {
    "hidden_size": 32,
    "hidden_size_global": 64,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "head_dim": 8,
    "cross_attn_k": 2,
    "max_position_embeddings": 64,
}
_BERT = {
    "model_type": "bert",
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
_ROPE_BY_TYPE = {"rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}}
_SPARSE = {"mlp_layer_types": ["dense", "sparse", "sparse"], "moe_intermediate_size": 48}
_FORECAST = {"prediction_length": 4}
_SEES = {"vision_start_token_id": 7, "vision_end_token_id": 8}
_LATENT = {"head_dim": 4, "num_key_value_heads": 4}  # RoPE turns 4 of 12 features; every head has its keys

OWN: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "autoformer": _FORECAST,
        "bailing_hybrid": {"num_hidden_layers": 8},
        "bamba": {"attn_layer_indices": [1], **_MAMBA},
        "big_bird": {"block_size": 4, "num_random_blocks": 1},
        "bigbird_pegasus": {"block_size": 4, "num_random_blocks": 1},
        "blt": {
            "encoder_config": {**_BYTES, "num_hidden_layers": 1},
            "decoder_config": {**_BYTES, "num_hidden_layers": 2},
            "global_config": {**_BYTES, "hidden_size": 64, "head_dim": 16, "num_hidden_layers": 3},
        },
        "chameleon": {"vocabulary_map": {"<image>": 4, "IMGIMGA": 5}},
        "cohere_compass_text": _ROPE_BY_TYPE,
        "cosmos3_edge_text": _MROPE,
        "csm": {"codec_config": None},
        "dbrx": {
            "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8.0},
            "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
        },
        "deepseek_ocr2_text": _SPARSE,
        "diffusion_gemma_text": {"top_k_experts": 2, "num_experts": 4},
        "emu3": {
            "vocabulary_map": {"<image>": 4, "<|visual token 000000|>": 5},
            "vq_config": {
                "base_channels": 32,
                "channel_multiplier": [1],
                "num_res_blocks": 1,
                "attn_resolutions": [],
                "embed_dim": 8,
                "latent_channels": 32,
                "codebook_size": 16,
                "hidden_size": 32,
            },
        },
        "encoder-decoder": {
            "encoder": _BERT,
            "decoder": {**_BERT, "is_decoder": True, "add_cross_attention": True},
        },
        "ernie4_5_vl_moe_text": {
            "moe_intermediate_size": [48, 48],
            "moe_num_experts": 4,
            "rope_parameters": {**_ROPE, "mrope_section": [1, 1, 2]},
        },
        "esmc": {"num_key_value_heads": 4},
        "fun_asr_nano": {
            "adaptor_config": {"hidden_size": 32, "intermediate_size": 8, "num_attention_heads": 4}
        },
        "funnel": {"block_sizes": [2, 2], "block_repeats": [1, 1], "num_decoder_layers": 1},
        "gemma3n_text": {
            "num_hidden_layers": 4,
            "num_kv_shared_layers": 2,
            "layer_types": ["full_attention", "sliding_attention"] * 2,
            "vocab_size_per_layer_input": 128,
            "intermediate_size": 48,
            "activation_sparsity_pattern": [0.0] * 4,
            "laurel_rank": 8,
        },
        "glm4v_moe_text": _MROPE_OF_HALF,
        "glm4v_text": _MROPE_OF_HALF,
        "glm_image_text": _MROPE_OF_HALF,
        "glm_ocr_text": _MROPE_OF_HALF,
        "gpt_neo": {"attention_types": [[["global", "local"], 2]], "num_layers": 4, "window_size": 4},
        "granitemoehybrid": {"layer_types": ["mamba", "attention", "mamba"], **_MAMBA},
        "glm5_next_text": {"qk_rope_head_dim": 0},
        "hunyuan_vl_text": _MROPE,
        "hy_v4_vl_text": {"rope_parameters": {**_ROPE, "mrope_section": [1, 1, 0]}},
        "informer": _FORECAST,
        "jamba": {
            "use_mamba_kernels": False,
            "num_hidden_layers": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
        },
        "kimi_linear": _FOUR,
        "kyutai_speech_to_text": {"codec_config": None, "pad_token_id": 3, "audio_pad_token_id": 1},
        "led": {"attention_window": 4},
        "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv"]},
        "lilt": {"hidden_size": 48},
        "longformer": {"attention_window": 4},
        "mamba2": {"num_heads": 8, "head_dim": 8},
        "molmo2": {
            "adapter_config": {"vision_feature_layer": [0, 1], "hidden_size": 32, "text_hidden_size": 32}
        },
        "moonshine_streaming": {"num_key_value_heads": 4},
        "muse_spark": {"audio_config": {"out_hidden_size": 32}},
        "neomme": {"head_dim": 16, "rope_parameters": None},
        "nemotron3_5_transcribe_word_timestamp": {"blank_token_id": 3},
        "paddleocr_vl_text": _MROPE,
        "perceiver": {
            "d_latents": 32,
            "num_latents": 16,
            "num_self_attention_heads": 4,
            "num_cross_attention_heads": 4,
        },
        "pix2struct_text_model": {"initializer_range": 0.02},
        "qwen2_5_omni_text": _MROPE,
        "qwen2_5_omni_thinker": _SEES,
        "qwen2_5_vl_text": _MROPE,
        "qwen2_vl_text": _MROPE,
        "qwen3_5_moe_text": _FOUR,
        "qwen3_5_text": _FOUR,
        "qwen3_next": _FOUR,
        "qwen3_omni_moe_talker_text": {**_MROPE, "shared_expert_intermediate_size": 48},
        "qwen3_omni_moe_text": _MROPE,
        "qwen3_omni_moe_thinker": _SEES,
        "qwen4_exp_text": {
            **_FOUR,
            "indexer_budget": 8,
            "indexer_compress_ratio": 4,
            "indexer_n_heads": 2,
            "indexer_kv_heads": 1,
            "indexer_head_dim": 8,
        },
        "reformer": {"axial_pos_embds_dim": [8, 24], "axial_pos_shape": [8, 8]},
        "step3p5": {"sliding_window": 4},
        "t5gemma2_text": {"dropout_rate": 0.0},
        "time_series_transformer": _FORECAST,
        "unlimited_ocr_text": {"num_key_value_heads": 4, **_SPARSE},
        "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
        "zamba": {
            "use_mamba_kernels": False,
            "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
            **_FOUR,
        },
        "zamba2": {
            "layer_types": ["mamba", "hybrid", "mamba", "hybrid"],
            "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
            "hybrid_layer_ids": [1, 3],
            **_FOUR,
            "mamba_ngroups": 1,
        },
        "zaya": {"num_experts_per_tok": 1},
    }
)

_LOGITS = frozenset({"prophetnet", "squeezebert"})
"""They return the input of the softmax (`modeling_squeezebert.py`)."""

_ENDLESS = frozenset({"fastspeech2_conformer", "fastspeech2_conformer_with_hifigan"})
"""With random weights they predict sounds of any length, and 10 GB of them."""

_ASKING = ("query", "key", "q_", "k_", "qkv", "attn", "attention")  # what makes scores large


class NoTwinError(Exception):
    """A small model of this type cannot be created."""


@dataclass(frozen=True)
class Verdict:
    """How a type is supported, with the evidence."""

    kind: str
    served: str  # native, bridge, fallback, refused, untried, wrong
    why: str = ""
    apart: float = 0.0  # the largest difference of a weight from eager's
    compared: int = 0  # layers that eager gave back too
    peak: float = 0.0


def verdict_of(kind: str) -> Verdict:
    """Create and save a twin of the type, read it, and compare all layers and heads with eager attention."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            model = twin_of(kind, directory)
        except Exception as error:  # noqa: BLE001  a configuration may be refused in any way
            return _without_twin(kind, error)
        save_tokenizer(word_piece(), directory)
        try:
            return _compared(kind, open_checkpoint(kind, directory, NUMPY), model)
        except AttnError as error:
            return Verdict(kind, "refused", error.problem)


def _without_twin(kind: str, problem: Exception) -> Verdict:
    """What attn says of a sketch in the usual size; if it would read the type, the type is untried."""
    why = problem.problem if isinstance(problem, AttnError) else " ".join(str(problem).split())
    try:
        sketch = of_text(build_sketch(_usual(kind)))
        plan_attention(kind, sketch)
    except CannotSketchError:
        return Verdict(kind, "untried", why)
    except AttnError as error:
        is_refused = not error.problem.startswith("transformers cannot build")
        return Verdict(kind, "refused" if is_refused else "untried", error.problem if is_refused else why)
    except Exception:  # noqa: BLE001  as above
        return Verdict(kind, "untried", why)
    return Verdict(kind, "untried", why)


def _usual(kind: str) -> Any:
    """The usual configuration of this type, and the class that reads text with it."""
    config = transformers.AutoConfig.for_model(kind)
    config.architectures = _named_class(type(config))
    return config


def _named_class(family: type) -> list[str]:
    """The class that a checkpoint of this type names, if no Auto class builds its model."""
    if any(family in getattr(transformers, name)._model_mapping for name in CLASSES):  # noqa: SLF001
        return []
    try:
        home = importlib.import_module(family.__module__.replace("configuration_", "modeling_"))
    except ImportError:
        return []
    names = [
        name
        for name, each in vars(home).items()
        if getattr(each, "config_class", None) is family and reads_text(each) and hasattr(transformers, name)
    ]
    return sorted(names, key=len)[:1]


def record(verdicts: Sequence[Verdict]) -> None:
    """Write the data of `attn models --families`."""
    assert not [each for each in verdicts if each.served == "wrong"]
    lines = [
        f"  {json.dumps(each.kind)}: {json.dumps([each.served, *([_reason(each)] if each.why else [])])}"
        for each in verdicts
    ]
    types = ",\n".join(lines)
    text = f'{{\n "transformers": "{transformers.__version__}",\n "types": {{\n{types}\n }}\n}}\n'
    FILE.write_text(text, "utf-8")


def _reason(verdict: Verdict) -> str:
    said = verdict.why.removeprefix(f"{verdict.kind} ").partition(" neither in ")[0]
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def _compared(kind: str, source: Source, model: Any) -> Verdict:
    texts = Texts(_tokens(IDS), _tokens(TARGET) if source.has_decoder else ())
    expected: dict[Kind, list[Numbers]] = {}
    with suppress(Exception):  # a model may run and yet not give its attention back
        expected = eager_weights(of_text(model))
    apart, count, peaks, alone = 0.0, 0, [], set()
    for one, extent in source.kinds.items():
        layers = list(source.attentions(texts, one, extent.layers))
        alone |= {type(layer) is CapturedLayer for layer in layers}
        ours = [weights_of(layer) for layer in layers]
        (first,) = (weights_of(each) for each in source.attentions(texts, one, extent.layers[:1]))
        apart = max(apart, float(np.abs(first - ours[0]).max()))  # in a shorter model
        peaks += [peak_of(each) for each in ours]
        comparable = [theirs for theirs in expected.get(one, []) if theirs.shape[-2] == ours[0].shape[-2]]
        for mine, theirs in _paired(ours, extent.layers, comparable):
            apart, count = max(apart, difference(mine, theirs)), count + 1
    served = "native" if source.engine == "native" else "bridge" if False in alone else "fallback"
    return Verdict(kind, served if apart <= CLOSE else "wrong", "", apart, count, float(np.mean(peaks)))


def _paired(
    ours: Sequence[Numbers], numbers: Sequence[int], theirs: Sequence[Numbers]
) -> Iterator[tuple[Numbers, Numbers]]:
    """Pair our layers with theirs: eager returns those with attention, or something for every layer."""
    if len(theirs) == len(ours):
        yield from zip(ours, theirs, strict=True)
    elif theirs and max(numbers) < len(theirs):
        yield from ((mine, theirs[number]) for mine, number in zip(ours, numbers, strict=True))


def difference(ours: Numbers, theirs: Numbers) -> float:
    """The difference of two layers; an extra column of theirs is a sink."""
    if theirs.shape[-1] == ours.shape[-1] + 1:
        theirs = theirs[..., :-1]
    return float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else np.inf


def save_twin(kind: str, directory: Path) -> None:
    """Save the twin with a tokenizer, as in a real checkpoint."""
    twin_of(kind, directory)
    save_tokenizer(word_piece(), directory)


def twin_of(kind: str, directory: Path) -> Any:
    """The twin, saved in `directory`."""
    if kind in _ENDLESS:
        raise NoTwinError("with random weights its result has any length")
    config = tiny(transformers.CONFIG_MAPPING[kind], OWN.get(kind, {}))
    config.architectures = _named_class(type(config))
    check_size(config)
    torch.manual_seed(0)
    with translated_errors("no twin"):
        builder = model_builder(config)
        model = builder.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
        stir(model)
        _sharpen(model)
        model.save_pretrained(directory)
    return model


def check_size(config: Any) -> None:
    """Raise `NoTwinError` for a large model; what cannot be built without weights is small."""
    try:
        size = sum(parameter.numel() for parameter in build_sketch(config).parameters())
    except AttnError as error:
        if "meta tensor" in error.problem:
            return
        raise
    if size > _LARGEST:
        raise NoTwinError(f"even a small configuration has {size:,} weights")


def tiny(family: Any, own: Mapping[str, Any]) -> Any:
    """A configuration with small numbers, its nested configurations included."""
    fields = {each.name for each in dataclasses.fields(family)} if dataclasses.is_dataclass(family) else set()
    fields |= set(inspect.signature(family.__init__).parameters)
    given: dict[str, Any] = {name: size for name, size in _SIZES.items() if name in fields}
    if "qk_rope_head_dim" in given:
        given |= _LATENT
    inner = getattr(family, "sub_configs", None) or {}
    usual = family() if inner and not getattr(family, "has_no_defaults_at_init", False) else None
    for name in inner:
        part = getattr(usual, name, None)
        with suppress(Exception):  # of pictures and sounds: as they are
            small = None if part is None else tiny(type(part), OWN.get(part.model_type, {}))
            given[name] = None if small is None else small.to_dict()  # older versions take only dictionaries
    config = family(**({name: value for name, value in given.items() if value is not None} | dict(own)))
    if not hasattr(config, "pad_token_id"):  # of older versions, whose models expect it
        config.pad_token_id = None
    return config


@torch.no_grad()
def stir(model: torch.nn.Module) -> None:
    """Enlarge the weights, and randomise what is initialised to zeros or ones."""
    draw = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        noise = 0.3 * torch.randn(parameter.shape, generator=draw)
        is_shift = parameter.ndim == 1 and name.endswith(("weight", "bias"))
        if is_shift or not parameter.any():
            parameter.add_(noise.to(parameter))
        elif parameter.ndim > 1 and parameter.std() < 0.1:
            parameter.mul_(10 if any(part in name for part in _ASKING) else 5)


@torch.no_grad()
def _sharpen(model: Any) -> None:
    """Enlarge queries and keys until the rows of eager attention are peaked."""
    asking = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and any(part in name for part in _ASKING)
    ]
    with suppress(Exception):  # what cannot run is refused later, with its reason
        for _ in range(4):
            weights = eager_weights(of_text(model)).values()
            peaks = [peak_of(layer) for layers in weights for layer in layers]
            if not peaks or np.mean(peaks) > _PEAKED:
                return
            for parameter in asking:
                parameter.mul_(1.6)


def eager_weights(model: Any) -> dict[Kind, list[Numbers]]:
    """The weights (H, T, S) of every layer that eager attention returns, by kind."""
    with torch.no_grad():
        found = model(**_inputs_of(model), output_attentions=True)
    names = {
        Kind.SELF: "attentions",
        Kind.ENCODER: "encoder_attentions",
        Kind.DECODER: "decoder_attentions",
        Kind.CROSS: "cross_attentions",
    }
    by_kind = {kind: getattr(found, name, None) for kind, name in names.items()}
    return {kind: list(_plain(each, model.config.model_type)) for kind, each in by_kind.items() if each}


def _inputs_of(model: Any) -> dict[str, Any]:
    """The ids, and those of a decoder; with a cache, FSMT's decoder would read only its last token.

    The mask is given as tokenizers give it: without one, AIMv2's text model lets every token see all.
    """
    given: dict[str, Any] = {"input_ids": torch.tensor([IDS])}
    takes = inspect.signature(model.forward).parameters
    if has_decoder(model):
        given["decoder_input_ids"] = torch.tensor([TARGET])
    if "attention_mask" in takes:
        given["attention_mask"] = torch.ones(1, len(IDS), dtype=torch.int64)
    if "use_cache" in takes:
        given["use_cache"] = False
    return given


def _plain(layers: Any, kind: str) -> Iterator[Numbers]:
    """The layers, without those that are no shares: Switch Transformers returned biases."""
    for each in layers:
        if isinstance(each, torch.Tensor):
            shares = each.softmax(dim=-1) if kind in _LOGITS and not are_shares(each) else each
            if are_shares(shares):
                yield (shares[0] if shares.ndim > 3 else shares).float().numpy()
        elif isinstance(each, tuple | list):
            yield from _plain(each, kind)


def are_shares(weights: torch.Tensor) -> bool:
    """Whether these can be the results of a softmax."""
    return bool(weights.any() and weights.min() >= 0 and weights.sum(dim=-1).max() <= 1 + CLOSE)


def _tokens(ids: Sequence[int]) -> tuple[Token, ...]:
    return tuple(
        Token(place, index, str(index), str(index), 0, 0, special=False, segment=0)
        for place, index in enumerate(ids)
    )


def peak_of(weights: Numbers) -> float:
    """The mean of the rows' largest weights."""
    return float(np.mean(weights.max(axis=-1)))


if __name__ == "__main__":
    record([verdict_of(kind) for kind in TYPES])
