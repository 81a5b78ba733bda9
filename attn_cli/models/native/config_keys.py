"""Which keys of a config are known: a model with another one that could change its attention is not native.

A newer transformers, or the checkpoint's own code, may read a key that no family here was written for.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attn_cli.models.files.config import Config, NotNativeError


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A key with one of these words could change the scores, the mask or the weights.
_WORDS = _names(
    """
    attn attention rope rotary mrope xpos theta ntk yarn logn window sliding chunk local global mask
    masked causal bidirectional alibi position positions bucket buckets softcap softcapping capping
    softmax sink sinks qk kv qkv q k v query key value head heads scale scaling scalar multiplier norm
    bias residual temperature clip
    """
)

# Read by a native family, or by what transformers does for every family.
_READ = _names(
    """
    _remove_final_layer_norm add_cross_attention apply_residual_connection_post_layernorm attention_bias
    attention_head_size attention_layers attention_multiplier attention_types attn_logit_softcapping
    d_kv decoder_attention_heads do_layer_norm_before embedding_multiplier enable_bias
    encoder_attention_heads global_attn_every_n_layers global_rope_theta head_dim is_causal
    layer_norm_elementwise_affine layer_norm_eps layer_norm_epsilon local_attention local_rope_theta
    max_position_embeddings max_relative_positions max_window_layers mlp_bias n_head n_heads n_positions
    no_rope_layer_interval no_rope_layers norm_bias norm_eps norm_rel_ebd num_attention_heads num_heads
    num_key_value_heads original_max_position_embeddings partial_rotary_factor position_biased_input
    position_buckets position_embedding_type pruned_heads qk_layernorm query_pre_attn_scalar
    relative_attention relative_attention_max_distance relative_attention_num_buckets
    residual_multiplier rms_norm_eps rope_local_base_freq rope_parameters rope_scaling rope_theta
    rotary_dim rotary_emb_base rotary_pct scale_attn_by_inverse_layer_idx scale_attn_weights
    scale_embedding share_att_key sliding_window sliding_window_pattern use_bidirectional_attention
    use_parallel_residual use_sliding_window window_size
    """
)

# In released checkpoints, and without effect on the attention of any native family.
_WITHOUT_EFFECT = _names(
    """
    _sliding_window_pattern add_bias_logits add_final_layer_norm attention_softmax_in_fp32
    chunk_size_feed_forward cross_attention_hidden_size decoder_bias down_scale_factor
    extra_pos_embeddings final_logit_softcapping lm_head_bias logits_scaling masked_softmax_fusion
    normalize_before normalize_embedding offset_alibi output_attentions reorder_and_upcast_attn
    scale_decoder_outputs skip_bias_add skip_bias_add_qkv sliding_window_size static_position_embeddings
    """
)
_HARMLESS_PREFIXES = (
    "_attn_implementation",
    "attn_implementation",
    "cls_",
    "classifier_",
    "pooler_",
    "summary_",
)
_HARMLESS_PARTS = ("cache", "drop", "flash", "init", "token_id", "weights_only")

# Known only with this value, which turns the feature off.
_OFF: Mapping[str, Any] = {
    "full_attn_mod": 1,  # Phi-4-mini
    "rope_interleaved": False,  # SmolLM2
    "use_alibi": False,
    "use_attention_sinks": False,
    "use_logn_attn": False,
    "use_mrope": False,  # Qwen2.5
    "use_qk_norm": False,
}


def check_keys(config: Config) -> None:
    """Check that the native code knows every key of the config that could change the attention.

    Raises:
        NotNativeError: it does not know one.
    """
    unknown = next(_unknown_keys(config.values), None)
    if unknown is not None:
        raise NotNativeError(f"{config.path} has {unknown}, which attn does not know")


def _unknown_keys(values: Mapping[str, Any]) -> Iterator[str]:
    """The unknown keys; a key without a value (null) changes nothing."""
    for name, value in values.items():
        could_matter = value is not None and not _WORDS.isdisjoint(name.lower().split("_"))
        if could_matter and not _is_known(name) and _OFF.get(name, ...) != value:
            yield name
    if values.get("rope_scaling") or values.get("rope_parameters"):
        from attn_cli.models.native.rope import unknown_parameters  # encoders do without RoPE

        yield from unknown_parameters(values)


def _is_known(name: str) -> bool:
    return (
        name in _READ
        or name in _WITHOUT_EFFECT
        or name.startswith(_HARMLESS_PREFIXES)
        or any(part in name for part in _HARMLESS_PARTS)
    )
