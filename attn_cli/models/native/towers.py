"""The language model inside a model that also reads images or sound: without them, only that part runs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from attn_cli.errors import AttnError
from attn_cli.models.files.config import Config
from attn_cli.models.native.spec import LanguageHead, Spec

_NAMES = {
    "language_model.": "audioflamingo3 deepseek_vl deepseek_vl_hybrid gemma3 glmasr got_ocr2 granite_speech "
    "granite_speech_plus internvl janus lighton_ocr llava llava_next llava_next_video llava_onevision "
    "mistral3 moss_transcribe_diarize musicflamingo ovis2 qwen2_audio qwen3_asr video_llama_3 video_llava "
    "vipllava voxtral",
    "text_model.": "idefics2 idefics3 modernvbert smolvlm",
}

TOWERS: Mapping[str, str] = MappingProxyType(
    {kind: name for name, kinds in _NAMES.items() for kind in kinds.split()}
)
"""The module of the language model, by type; on text alone, transformers runs it and nothing else.

PaliGemma is not among them: it lets the tokens of a prompt see each other.
"""

_TIED = frozenset(
    [
        "deepseek_vl",
        "deepseek_vl_hybrid",
        "gemma3",
        "glmasr",
        "got_ocr2",
        "granite_speech",
        "granite_speech_plus",
        "internvl",
        "janus",
        "lighton_ocr",
        "mistral3",
        "moss_transcribe_diarize",
        "ovis2",
        "qwen3_asr",
    ]
)
"""The types whose head is tied if the configuration does not say."""

_TIED_INSIDE = frozenset(["llava", "llava_next_video", "llava_onevision", "video_llama_3"])
"""The types whose files may say so of the language model only (`configuration_llava.py`)."""

_NEVER_TIED = frozenset(["audioflamingo3", "musicflamingo", "qwen2_audio", "voxtral"])
"""The types without `_tied_weights_keys`."""

DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "gemma3_text": {
            "vocab_size": 262208,
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_hidden_layers": 26,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
        },
        "llama": {
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
        },
        "mistral": {
            "vocab_size": 32000,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
        },
    }
)
"""The defaults of transformers' classes, by type: the files of LLaVA, Pixtral and Gemma 3 omit them."""


def tower_config(config: Config) -> Config | None:
    """The configuration of the language model; None if the type is not one of `TOWERS`."""
    values = config.values.get("text_config")
    if not _tower(config) or not isinstance(values, dict):
        return None
    return Config({**DEFAULTS.get(str(values.get("model_type")), {}), **values}, config.path)


def as_tower(spec: Spec, config: Config) -> Spec:
    """The language model as a part of the whole model that `config` describes."""
    name = _tower(config)
    prefixes = tuple(f"{outer}{name}{prefix}" for outer in ("", "model.") for prefix in spec.prefixes)
    head = None if spec.head is None else partial(_head, spec.head, config)
    return replace(spec, type=config.text("model_type"), tower=name, prefixes=prefixes, head=head)


def _head(inner: Callable[[], LanguageHead], config: Config) -> LanguageHead:
    """The head of the whole model, which is a matrix over the output of its language model.

    A soft cap of the language model is not applied (`Gemma3ForConditionalGeneration`).

    Raises:
        AttnError: the whole model has another head, or versions of transformers differ in it.
    """
    head, kind = inner(), config.text("model_type")
    if head.scale != 1.0:
        raise _unknown_head(kind, "whether its logits are scaled depends on the version of transformers")
    if head.fills_masks:
        raise _unknown_head(kind, "attn does not know it")
    return replace(head, softcap=None, is_tied=_is_tied(config))


def _is_tied(config: Config) -> bool:
    """Whether the head is the embeddings: the outer value counts, and in LLaVA's family the inner one too."""
    kind, text = config.text("model_type"), config.values.get("text_config")
    inner = text.get("tie_word_embeddings") if isinstance(text, dict) else None
    if kind in _NEVER_TIED:
        return False
    outer = config.flag("tie_word_embeddings", default=kind in _TIED)
    return outer or (kind in _TIED_INSIDE and inner is True)


def _unknown_head(kind: str, why: str) -> AttnError:
    return AttnError(f"the language head of type '{kind}' is not known: {why}", "a model of text alone")


def _tower(config: Config) -> str:
    return TOWERS.get(config.text("model_type"), "")
