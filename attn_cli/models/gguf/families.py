"""How llama.cpp's converter changes each family's tensors, and what the metadata omits."""

from collections.abc import Callable, Mapping
from typing import Any

from attn_cli.record import record


@record(frozen=True, slots=True)
class GgufFamily:
    """How a family's tensors differ in GGUF (`conversion/` and `convert_hf_to_gguf.py` in llama.cpp)."""

    type: str  # Hugging Face's model_type
    has_pairs: bool = False  # rows of Q and K are interleaved in pairs for RoPE
    gain_offset: float = 0.0  # added to the weights of norms
    is_transposed: bool = False  # matrices are (out, in), while Hugging Face's are (in, out)
    merges_in_order: bool = False  # see `build_tokenizer` in `tokens.py`
    reads: frozenset[str] = frozenset()  # metadata keys that only this family has
    more: Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]] = lambda _file, _values: {}
    """Further config values, from the metadata and the config values known so far."""


def _scale_of_gemma(layers_of_27b: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """`query_pre_attn_scalar`, the square of the divisor of q·k: the head size, except in the 27B models.

    No metadata key holds it; llama.cpp also decides by the number of layers (`llama-model.cpp`).
    """
    width, heads = values.get("hidden_size"), values.get("num_attention_heads")
    if values.get("num_hidden_layers") != layers_of_27b or not isinstance(width, int) or not heads:
        return {"query_pre_attn_scalar": values.get("head_dim")}
    return {"query_pre_attn_scalar": width // heads}


def _gemma2(_file: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    return _scale_of_gemma(46, values)


def _gemma3(file: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every sixth layer has full attention; without a window all have (`convert_hf_to_gguf.py`)."""
    stride = file.get("gemma3.attention.sliding_window_pattern", 6 if "sliding_window" in values else 1)
    local = {"rope_local_base_freq": file.get("gemma3.rope.freq_base_swa", 10000.0)}
    return _scale_of_gemma(62, values) | local | {"sliding_window_pattern": stride}


_GEMMA3 = frozenset(["attention.sliding_window_pattern", "rope.freq_base_swa"])
_PHI3 = frozenset(["rope.dimension_count", "rope.scaling.attn_factor"])


def _phi3(file: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """RoPE may rotate only part of each head; a window of 0 means no window."""
    width, heads = values.get("hidden_size"), values.get("num_attention_heads")
    turning = file.get("phi3.rope.dimension_count")
    sizes = [size for size in (width, heads, turning) if isinstance(size, int) and size > 0]
    part = {"partial_rotary_factor": sizes[2] / (sizes[0] // sizes[1] or 1)} if len(sizes) == 3 else {}  # noqa: PLR2004
    original = file.get("phi3.rope.scaling.original_context_length")
    return part | {
        "sliding_window": values.get("sliding_window") or None,
        **({} if original is None else {"original_max_position_embeddings": original}),
    }


FAMILIES = {
    "llama": GgufFamily("llama", has_pairs=True),
    "qwen2": GgufFamily("qwen2"),
    "qwen3": GgufFamily("qwen3"),
    "gemma": GgufFamily("gemma", gain_offset=1.0, merges_in_order=True),
    "gemma2": GgufFamily(
        "gemma2",
        gain_offset=1.0,
        merges_in_order=True,
        more=lambda _file, values: _scale_of_gemma(46, values),
    ),
    "gemma3": GgufFamily("gemma3_text", gain_offset=1.0, merges_in_order=True, reads=_GEMMA3, more=_gemma3),
    "phi3": GgufFamily("phi3", reads=_PHI3, more=_phi3),
    "gpt2": GgufFamily("gpt2", is_transposed=True),
}
