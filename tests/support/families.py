"""A small random twin of every native family, with its special features enabled."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import transformers

from tests.support.twins import WIDTH, Recipe

_WINDOW = 4  # tokens; every text is longer


def _encoder(kind: str, **rest: Any) -> Any:
    """A config with BERT's names."""
    shape: dict[str, Any] = {
        "vocab_size": 80,
        "hidden_size": WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
    }
    return getattr(transformers, kind)(**(shape | rest))


def decoder(kind: str, **rest: Any) -> Any:
    """A config with Llama's names."""
    shape: dict[str, Any] = {
        "vocab_size": 300,
        "hidden_size": WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 512,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    return getattr(transformers, kind)(**(shape | rest))


_NEO: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": WIDTH,
    "num_layers": 3,
    "num_heads": 4,
    "max_position_embeddings": 96,
    "window_size": _WINDOW,
    "attention_types": [[["global", "local", "local"], 1]],
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_GPTJ: dict[str, Any] = {
    "vocab_size": 300,
    "n_embd": WIDTH,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 96,
    "rotary_dim": 4,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_OPT: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "ffn_dim": 48,
    "max_position_embeddings": 96,
}
_BLOOM: dict[str, Any] = {"vocab_size": 300, "hidden_size": WIDTH, "n_layer": 3, "n_head": 4}
_DISTIL: dict[str, Any] = {
    "vocab_size": 80,
    "dim": WIDTH,
    "n_layers": 3,
    "n_heads": 4,
    "hidden_dim": 48,
    "max_position_embeddings": 64,
}
_TWO_ROPES = {
    "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
}
_HALF_TURNS = {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5}
_SLIDING: dict[str, Any] = {"sliding_window": _WINDOW, "use_sliding_window": True}
_T5: dict[str, Any] = {
    "vocab_size": 300,
    "d_model": WIDTH,
    "d_kv": 12,
    "d_ff": 48,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
    "decoder_start_token_id": 0,
}
_BART: dict[str, Any] = {
    "vocab_size": 300,
    "d_model": WIDTH,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 96,
    "decoder_start_token_id": 2,
    "pad_token_id": 1,
    "eos_token_id": 0,
    "forced_eos_token_id": 0,
}

TRANSLATORS: Mapping[str, Recipe] = MappingProxyType(
    {
        "t5": Recipe("T5ForConditionalGeneration", transformers.T5Config(**_T5), 1.3),
        "t5, gated": Recipe("T5Model", transformers.T5Config(**_T5, feed_forward_proj="gated-gelu"), 1.1),
        "bart": Recipe("BartForConditionalGeneration", transformers.BartConfig(**_BART), 3.3),
        "bart, scaled": Recipe("BartModel", transformers.BartConfig(**_BART, scale_embedding=True), 3.3),
        "marian": Recipe("MarianMTModel", transformers.MarianConfig(**_BART, scale_embedding=True), 3.2),
        "marian, a vocabulary each": Recipe(
            "MarianMTModel",
            transformers.MarianConfig(
                **_BART,
                decoder_vocab_size=310,
                share_encoder_decoder_embeddings=False,
                tie_word_embeddings=False,
            ),
            3.2,
        ),
    }
)
"""Those with an encoder and a decoder."""

FAMILIES: Mapping[str, Recipe] = MappingProxyType(
    {
        "roberta": Recipe("RobertaModel", _encoder("RobertaConfig", type_vocab_size=1), 2.8),
        "roberta, masked words": Recipe(
            "RobertaForMaskedLM", _encoder("RobertaConfig", type_vocab_size=1, pad_token_id=3), 2.8
        ),
        "xlm-roberta": Recipe("XLMRobertaModel", _encoder("XLMRobertaConfig", type_vocab_size=1), 2.8),
        "camembert": Recipe("CamembertModel", _encoder("CamembertConfig", type_vocab_size=1), 2.8),
        "distilbert": Recipe("DistilBertModel", transformers.DistilBertConfig(**_DISTIL), 2.8),
        "distilbert, sinusoids": Recipe(
            "DistilBertForMaskedLM", transformers.DistilBertConfig(**_DISTIL, sinusoidal_pos_embds=True), 2.8
        ),
        "electra": Recipe("ElectraModel", _encoder("ElectraConfig", embedding_size=20), 2.8),
        "electra, as wide": Recipe("ElectraModel", _encoder("ElectraConfig", embedding_size=WIDTH), 2.8),
        "albert": Recipe("AlbertModel", _encoder("AlbertConfig", embedding_size=20), 4.0),
        "albert, groups": Recipe(
            "AlbertModel",
            _encoder("AlbertConfig", embedding_size=WIDTH, num_hidden_groups=2, inner_group_num=2),
            3.2,
        ),
        "mpnet": Recipe("MPNetModel", _encoder("MPNetConfig"), 2.8),
        "deberta-v2": Recipe(
            "DebertaV2Model",
            _encoder(
                "DebertaV2Config",
                relative_attention=True,
                position_buckets=6,
                max_relative_positions=-1,
                norm_rel_ebd="layer_norm",
                share_att_key=True,
                pos_att_type="p2c|c2p",
                position_biased_input=False,
                type_vocab_size=0,
            ),
            1.9,
        ),
        "deberta-v2, own projections": Recipe(
            "DebertaV2Model",
            _encoder(
                "DebertaV2Config",
                relative_attention=True,
                max_relative_positions=9,
                pos_att_type=["p2c"],
                type_vocab_size=2,
            ),
            2.8,
        ),
        "deberta-v2, plain": Recipe("DebertaV2ForMaskedLM", _encoder("DebertaV2Config"), 2.8),
        "modernbert": Recipe(
            "ModernBertModel",
            _encoder(
                "ModernBertConfig", local_attention=_WINDOW, pad_token_id=0, global_attn_every_n_layers=2
            ),
            2.2,
        ),
        "modernbert, biases": Recipe(
            "ModernBertForMaskedLM",
            _encoder(
                "ModernBertConfig",
                local_attention=_WINDOW,
                pad_token_id=0,
                attention_bias=True,
                mlp_bias=True,
                norm_bias=True,
                rope_parameters=_TWO_ROPES,
            ),
            2.2,
        ),
        "gpt_neo": Recipe("GPTNeoModel", transformers.GPTNeoConfig(**_NEO), 1.2),
        "gpt_neox": Recipe(
            "GPTNeoXForCausalLM",
            decoder(
                "GPTNeoXConfig",
                rope_parameters=_HALF_TURNS,
            ),
            1.9,
        ),
        "gpt_neox, one after the other": Recipe(
            "GPTNeoXModel", decoder("GPTNeoXConfig", use_parallel_residual=False, attention_bias=False), 1.9
        ),
        "gptj": Recipe("GPTJModel", transformers.GPTJConfig(**_GPTJ), 1.9),
        "opt": Recipe("OPTForCausalLM", transformers.OPTConfig(**_OPT), 1.9),
        "opt, norms behind": Recipe(
            "OPTModel",
            transformers.OPTConfig(
                **_OPT, do_layer_norm_before=False, word_embed_proj_dim=20, enable_bias=False
            ),
            2.8,
        ),
        "bloom": Recipe("BloomForCausalLM", transformers.BloomConfig(**_BLOOM), 1.9),
        "bloom, six heads": Recipe(
            "BloomModel",
            transformers.BloomConfig(
                **(_BLOOM | {"n_head": 6, "hidden_size": 36}), apply_residual_connection_post_layernorm=True
            ),
            1.9,
        ),
        "mistral": Recipe("MistralForCausalLM", decoder("MistralConfig", sliding_window=_WINDOW), 1.65),
        "mistral, no window": Recipe(
            "MistralModel", decoder("MistralConfig", sliding_window=None, head_dim=12), 1.65
        ),
        "qwen2": Recipe("Qwen2ForCausalLM", decoder("Qwen2Config"), 1.8),
        "qwen2, window": Recipe("Qwen2Model", decoder("Qwen2Config", max_window_layers=1, **_SLIDING), 1.8),
        "qwen3": Recipe("Qwen3ForCausalLM", decoder("Qwen3Config", head_dim=12), 1.65),
        "qwen3, window": Recipe(
            "Qwen3Model",
            decoder("Qwen3Config", head_dim=8, max_window_layers=2, attention_bias=True, **_SLIDING),
            1.65,
        ),
        "gemma": Recipe("GemmaForCausalLM", decoder("GemmaConfig", head_dim=12), 1.2),
        "gemma2": Recipe(
            "Gemma2ForCausalLM",
            decoder(
                "Gemma2Config",
                head_dim=8,
                sliding_window=_WINDOW,
                attn_logit_softcapping=5.0,
                query_pre_attn_scalar=5,
            ),
            1.4,
        ),
        "gemma2, no cap": Recipe(
            "Gemma2Model",
            decoder("Gemma2Config", head_dim=8, attn_logit_softcapping=None, query_pre_attn_scalar=8),
            1.3,
        ),
        "gemma3_text": Recipe(
            "Gemma3ForCausalLM",
            decoder(
                "Gemma3TextConfig",
                head_dim=8,
                sliding_window=_WINDOW,
                query_pre_attn_scalar=8,
                sliding_window_pattern=2,
                rope_parameters=_TWO_ROPES,
                attn_logit_softcapping=5.0,
            ),
            1.4,
        ),
        "gemma3_text, to both sides": Recipe(
            "Gemma3TextModel",
            decoder(
                "Gemma3TextConfig",
                head_dim=8,
                sliding_window=2 * _WINDOW,
                query_pre_attn_scalar=8,
                sliding_window_pattern=2,
                use_bidirectional_attention=True,
            ),
            1.4,
        ),
        "phi": Recipe("PhiForCausalLM", decoder("PhiConfig"), 1.8),
        "phi, normed heads": Recipe("PhiModel", decoder("PhiConfig", qk_layernorm=True), 1.8),
        "phi3": Recipe("Phi3ForCausalLM", decoder("Phi3Config", sliding_window=_WINDOW), 1.65),
        "phi3, a part turns": Recipe(
            "Phi3Model",
            decoder(
                "Phi3Config",
                partial_rotary_factor=0.5,  # here, too, for older versions
                rope_parameters={
                    "rope_type": "longrope",
                    "rope_theta": 10000.0,
                    "partial_rotary_factor": 0.5,
                    "short_factor": [1.0, 1.5],
                    "long_factor": [2.0, 4.0],
                },
                original_max_position_embeddings=8,
            ),
            1.65,
        ),
        "olmo2": Recipe("Olmo2ForCausalLM", decoder("Olmo2Config"), 1.9),
        "smollm3": Recipe("SmolLM3ForCausalLM", decoder("SmolLM3Config", no_rope_layer_interval=2), 1.65),
        "smollm3, window": Recipe(
            "SmolLM3Model", decoder("SmolLM3Config", no_rope_layers=[0, 1, 0], **_SLIDING), 1.65
        ),
        "granite": Recipe(
            "GraniteForCausalLM",
            decoder(
                "GraniteConfig",
                attention_multiplier=0.25,
                embedding_multiplier=6.0,
                residual_multiplier=0.4,
                attention_bias=True,
            ),
            2.0,
        ),
    }
)
