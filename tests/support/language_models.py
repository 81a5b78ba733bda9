"""A twin of every native family with its language head, and the logits of transformers for the same files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from attn_cli.models.source import Source, Texts
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.twins import RECIPES, TOKENIZERS, byte_level, peak, save_tokenizer

_PEAK = 4.0  # a newly drawn head gives flat predictions, and they hide errors
_TWINS = {**RECIPES, **FAMILIES, **TRANSLATORS}


@dataclass(frozen=True)
class HeadRecipe:
    """A class with a language head, and what its config has besides that of a twin."""

    model: str
    twin: str
    more: Mapping[str, Any] = field(default_factory=dict)
    peak: float = 1.0  # how much larger yet the head is

    def save(self, directory: Path, **how: Any) -> Path:
        """Save the model, with every bias and norm drawn at random, and its tokenizer."""
        recipe = _TWINS[self.twin]
        config = type(recipe.config)(**{**recipe.config.to_dict(), **self.more})
        model = getattr(transformers, self.model)(config)
        peak(model, recipe.gain)
        draw = torch.Generator().manual_seed(1)
        for name, buffer in model.named_buffers():
            if name.endswith("final_logits_bias"):
                buffer.copy_(torch.randn(buffer.shape, generator=draw))
        head = model.get_output_embeddings()
        with torch.no_grad():
            getattr(head, "weight", head.bias).mul_(_PEAK * self.peak)
        model.to(how.pop("dtype", torch.float32)).save_pretrained(directory, **how)
        save_tokenizer(TOKENIZERS.get(config.model_type, byte_level)(), directory)
        return directory


_UNTIED, _TIED = {"tie_word_embeddings": False}, {"tie_word_embeddings": True}

NEXT: Mapping[str, HeadRecipe] = MappingProxyType(
    {
        "gpt2": HeadRecipe("GPT2LMHeadModel", "gpt2"),
        "gpt2, untied": HeadRecipe("GPT2LMHeadModel", "gpt2", _UNTIED),
        "llama": HeadRecipe("LlamaForCausalLM", "llama"),
        "llama, tied": HeadRecipe("LlamaForCausalLM", "llama, tied"),
        "bert, decoder": HeadRecipe("BertLMHeadModel", "bert, decoder"),
        "gpt_neo": HeadRecipe("GPTNeoForCausalLM", "gpt_neo"),
        "gpt_neox": HeadRecipe("GPTNeoXForCausalLM", "gpt_neox"),
        "gpt_neox, tied": HeadRecipe("GPTNeoXForCausalLM", "gpt_neox", _TIED),
        "gptj": HeadRecipe("GPTJForCausalLM", "gptj"),
        "gptj, tied": HeadRecipe("GPTJForCausalLM", "gptj", _TIED),
        "opt": HeadRecipe("OPTForCausalLM", "opt"),
        "opt, norms behind, narrow": HeadRecipe("OPTForCausalLM", "opt, norms behind"),
        "opt, no final norm": HeadRecipe("OPTForCausalLM", "opt", {"_remove_final_layer_norm": True}),
        "bloom": HeadRecipe("BloomForCausalLM", "bloom"),
        "mistral": HeadRecipe("MistralForCausalLM", "mistral"),
        "qwen2": HeadRecipe("Qwen2ForCausalLM", "qwen2"),
        "qwen2, tied": HeadRecipe("Qwen2ForCausalLM", "qwen2", _TIED),
        "qwen3": HeadRecipe("Qwen3ForCausalLM", "qwen3"),
        "gemma": HeadRecipe("GemmaForCausalLM", "gemma"),
        "gemma, untied": HeadRecipe("GemmaForCausalLM", "gemma", _UNTIED),
        "gemma2": HeadRecipe("Gemma2ForCausalLM", "gemma2"),
        "gemma2, a low cap": HeadRecipe("Gemma2ForCausalLM", "gemma2", {"final_logit_softcapping": 3.0}),
        "gemma2, no cap": HeadRecipe("Gemma2ForCausalLM", "gemma2", {"final_logit_softcapping": None}),
        "gemma3_text": HeadRecipe("Gemma3ForCausalLM", "gemma3_text"),
        "gemma3_text, a cap": HeadRecipe(
            "Gemma3ForCausalLM", "gemma3_text", {"final_logit_softcapping": 3.0}
        ),
        "phi": HeadRecipe("PhiForCausalLM", "phi"),
        "phi, tied": HeadRecipe("PhiForCausalLM", "phi", _TIED),
        "phi3": HeadRecipe("Phi3ForCausalLM", "phi3"),
        "olmo2": HeadRecipe("Olmo2ForCausalLM", "olmo2"),
        "smollm3": HeadRecipe("SmolLM3ForCausalLM", "smollm3"),
        "granite": HeadRecipe("GraniteForCausalLM", "granite", {"logits_scaling": 0.4}),
        "granite, tied": HeadRecipe("GraniteForCausalLM", "granite", {"logits_scaling": 4.0, **_TIED}),
    }
)
"""Those that predict the next token."""

MASKED: Mapping[str, HeadRecipe] = MappingProxyType(
    {
        "bert": HeadRecipe("BertForMaskedLM", "bert"),
        "bert, pretraining": HeadRecipe("BertForPreTraining", "bert", {"hidden_act": "relu"}),
        "bert, untied": HeadRecipe("BertForMaskedLM", "bert", _UNTIED),
        "roberta": HeadRecipe("RobertaForMaskedLM", "roberta", {"hidden_act": "relu"}),
        "xlm-roberta": HeadRecipe("XLMRobertaForMaskedLM", "xlm-roberta"),
        "camembert": HeadRecipe("CamembertForMaskedLM", "camembert"),
        "distilbert": HeadRecipe("DistilBertForMaskedLM", "distilbert", {"activation": "relu"}),
        "distilbert, untied": HeadRecipe("DistilBertForMaskedLM", "distilbert", _UNTIED),
        "electra": HeadRecipe("ElectraForMaskedLM", "electra", {"hidden_act": "relu"}),
        "electra, as wide": HeadRecipe("ElectraForMaskedLM", "electra, as wide"),
        "albert": HeadRecipe("AlbertForMaskedLM", "albert"),
        "mpnet": HeadRecipe("MPNetForMaskedLM", "mpnet"),
        "deberta-v2": HeadRecipe("DebertaV2ForMaskedLM", "deberta-v2"),
        "deberta-v2, as trained": HeadRecipe("DebertaV2ForMaskedLM", "deberta-v2", {"legacy": False}),
        "modernbert": HeadRecipe("ModernBertForMaskedLM", "modernbert"),
        "modernbert, biases": HeadRecipe(
            "ModernBertForMaskedLM",
            "modernbert, biases",
            {"classifier_bias": True, "decoder_bias": False, "classifier_activation": "relu"},
        ),
    }
)
"""Those that fill in masked tokens."""

TARGETED: Mapping[str, HeadRecipe] = MappingProxyType(
    {
        "t5": HeadRecipe("T5ForConditionalGeneration", "t5", peak=6.0),
        "t5, 1.1": HeadRecipe(
            "T5ForConditionalGeneration", "t5, gated", {**_UNTIED, "scale_decoder_outputs": False}
        ),
        "bart": HeadRecipe("BartForConditionalGeneration", "bart"),
        "bart, untied": HeadRecipe("BartForConditionalGeneration", "bart, scaled", _UNTIED),
        "marian": HeadRecipe("MarianMTModel", "marian"),
        "marian, a vocabulary each": HeadRecipe("MarianMTModel", "marian, a vocabulary each"),
    }
)
"""Those whose decoder predicts the next token of its own text."""


def reference_logits(
    directory: Path, model: str, texts: Texts, dtype: torch.dtype = torch.float32
) -> npt.NDArray[np.floating]:
    """(T, V) the logits of transformers' class over the same files."""
    kind = getattr(transformers, model)
    loaded = kind.from_pretrained(directory, attn_implementation="eager", dtype=dtype).eval()
    given: dict[str, Any] = {"input_ids": torch.tensor([[token.id for token in texts.tokens]])}
    if any(token.segment for token in texts.tokens):
        given["token_type_ids"] = torch.tensor([[token.segment for token in texts.tokens]])
    if texts.target:
        given["decoder_input_ids"] = torch.tensor([[token.id for token in texts.target]])
    with torch.no_grad():
        answer = loaded(**given)
    logits = answer.prediction_logits if "prediction_logits" in answer else answer.logits
    is_half = logits.dtype in {torch.float16, torch.bfloat16}
    found: npt.NDArray[np.floating] = (logits[0].float() if is_half else logits[0]).numpy()
    return found


def texts_of(source: Source, text: str, target: str | None = None) -> Texts:
    """The tokens of the text, and of the decoder's text if the model has a decoder."""
    read = source.target_tokens(target or text) if source.has_decoder else ()
    return Texts(source.tokens(text, None), read)


def apart(found: npt.NDArray[np.floating], expected: npt.NDArray[np.floating]) -> float:
    """The largest difference, relative to the largest logit."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def all_rows(texts: Texts) -> Sequence[int]:
    """Every place that is predicted from."""
    return range(len(texts.target or texts.tokens))
