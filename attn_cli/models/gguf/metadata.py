"""Which metadata of a GGUF file is known: other keys about attention or RoPE are refused.

The names are those of `gguf-py/gguf/constants.py` in llama.cpp, without the prefix `ARCHITECTURE.`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_cli.errors import AttnError, DamagedFileError
from attn_cli.models.files.tensors import RELOAD

HINT = "use the model's directory in Hugging Face layout"

_ONE_VALUE = frozenset(["general.alignment", "general.architecture", "general.name", "split.count"])
_PLACES = ("attention.", "rope.")
_READ = frozenset(
    [
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.layer_norm_epsilon",
        "attention.layer_norm_rms_epsilon",
        "attention.sliding_window",
        "attention.causal",
        "rope.freq_base",
        "rope.scale_linear",
        "rope.scaling.type",
        "rope.scaling.factor",
        "rope.scaling.finetuned",  # says how the model was trained, not how it is run
        "rope.scaling.original_context_length",
        "rope.scaling.yarn_beta_fast",
        "rope.scaling.yarn_beta_slow",
    ]
)
_OFF = {  # known only with this value, which changes nothing
    "attention.clamp_kqv": 0,
    "attention.max_alibi_bias": 0,
    "attention.scale": 0,
    "attention.shared_kv_layers": 0,
    "attention.output_scale": 0,
    "attention.temperature_length": 0,
    "attention.temperature_scale": 0,
    "rope.scaling.attn_factor": 1,
    "rope.scaling.yarn_attn_factor": 1,
    "rope.scaling.yarn_ext_factor": 1,
    "rope.scaling.yarn_log_multiplier": 0,
}

_ARRAYS = frozenset(["tokens", "scores", "token_type", "merges", "added_tokens", "precompiled_charsmap"])
"""Of the tokenizer."""

_OF_LAYERS = frozenset(["attention.head_count", "attention.head_count_kv"])
"""May be a number for each layer, which is refused where the config is read."""

_MOST_LAYERS = 10_000


def check_arrays(metadata: Mapping[str, Any], kind: str, path: Path) -> None:
    """Check that no array stands where attn reads one value, and none is longer than layers can be.

    Raises:
        AttnError: an array stands there.
    """
    for key, value in metadata.items():
        if isinstance(value, str | int | float):
            continue
        name = key.removeprefix(f"{kind}.")
        is_long = name != key and len(value) > _MOST_LAYERS
        if is_long or key in _ONE_VALUE or _is_one_value(key, name):
            problem = f"{path} has an array of {len(value):,} values as {key}, not one value"
            raise DamagedFileError(problem, RELOAD, path)


def _is_one_value(key: str, name: str) -> bool:
    """Whether the key, called `name` without the architecture, is one that attn reads as one value."""
    _, is_of_tokenizer, mark = key.partition("tokenizer.ggml.")
    if is_of_tokenizer:
        return mark not in _ARRAYS and not mark.endswith("_ids")
    return name != key and name.startswith((*_PLACES, "expert_")) and name not in _OF_LAYERS


def check_metadata(
    metadata: Mapping[str, Any], kind: str, values: Mapping[str, Any], also: frozenset[str], path: object
) -> None:
    """Check that every key about attention or RoPE is read, or changes nothing.

    `values` are the config values read from the file; `also` are further keys that the family `kind` reads.

    Raises:
        AttnError: a key is not known, or has a value that is not supported.
    """
    size = values.get("head_dim") or _quotient(values.get("hidden_size"), values.get("num_attention_heads"))
    neutral = {**_OFF, "attention.value_length": size, "rope.dimension_count": size}
    for full, value in metadata.items():
        name = full.removeprefix(f"{kind}.")
        if name == full or not name.startswith(_PLACES) or name in _READ or name in also:
            continue
        if name not in neutral:
            raise AttnError(f"{path} has the metadata key {full}, which attn does not know", HINT)
        if value != neutral[name]:
            raise AttnError(f"{path} says {full} is {value!r}: only {neutral[name]} is supported", HINT)


def _quotient(width: object, heads: object) -> int | None:
    are_counts = isinstance(width, int) and isinstance(heads, int) and heads > 0
    return width // heads if are_counts else None  # type: ignore[operator]
