"""What the tokenizer classes of transformers build anew, instead of reading it from `tokenizer.json`.

From version 5 on, most classes take only the vocabulary and the template from the file, and build the
normaliser, the pre-tokenizer and often the template themselves, as `tokenizer_config.json` says. Each
function here names the parts that one class builds; they are the same in all versions from 5.0 to 5.24
(`models/*/tokenization_*.py`), except where `since` says otherwise.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Any

from tokenizers import normalizers, pre_tokenizers  # 0.03 s; the tokenizer itself needs it

from attn_cli.models.tokens.beside import Settings
from attn_cli.record import record

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_BEFORE_CHARSMAP = ("``", "''")


@record(frozen=True, slots=True)
class Template:
    """The special tokens around one text (`$A`) and around two, as contents."""

    single: Sequence[str]
    pair: Sequence[str]
    second: int = 0  # the segment of everything from `$B` on


@record(frozen=True, slots=True)
class Parts:
    """The parts of a tokenizer that a class builds itself."""

    model: str
    marks: Mapping[str, str | None]  # named special tokens where the settings name none
    normalizer: Any = None
    pre_tokenizer: Any = None
    template: Template | None = None  # None: the file's
    options: Mapping[str, Any] = field(default_factory=dict)  # of the model: attributes, or `unk_id`
    takes_charsmap: bool = False  # whether the file's precompiled normaliser is kept, as the last one
    more: Sequence[str] = ()  # special tokens that it adds besides
    has_plain_marks: bool = False  # whether special tokens are added anew, without white space around them
    begins_words: bool = False  # ▁ before the text, as `Prepend` does, unless it is there
    since: tuple[int, int] = (5, 0)  # the version of transformers from which on this is so


_BARE = Template(("$A",), ("$A", "$B"), second=1)
_BERT = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]"} | {
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_ROBERTA = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>"} | {
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
_END = "<|endoftext|>"
_GPT2 = {"unk_token": _END, "bos_token": _END, "eos_token": _END}
_GEMMA = {"unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"} | {
    "mask_token": "<mask>"
}
_ALBERT = {"bos_token": "[CLS]", "eos_token": "[SEP]", "sep_token": "[SEP]", "cls_token": "[CLS]"} | {
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "[MASK]",
}


def _named(settings: Settings, defaults: Mapping[str, str]) -> dict[str, str | None]:
    """The contents of the named special tokens; an explicit null leaves a token out."""
    return {name: _content(settings.get(name, default)) for name, default in defaults.items()}


def _content(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _bert(settings: Settings) -> Parts:
    marks = _named(settings, _BERT)
    first, last = str(marks["cls_token"]), str(marks["sep_token"])
    return Parts(
        model="WordPiece",
        marks=marks,
        normalizer=_bert_normalizer(settings),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        template=Template((first, "$A", last), (first, "$A", last, "$B", last), second=1),
        options=_word_piece(marks["unk_token"]),
        since=(5, 0) if "do_lower_case" in settings else (5, 8),  # before, the default was false
    )


def _mpnet(settings: Settings) -> Parts:
    marks = _named(settings, _ROBERTA | {"unk_token": "[UNK]"})
    return Parts(
        model="WordPiece",
        marks=marks,
        normalizer=_bert_normalizer(settings),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(),
        template=_around(marks["cls_token"], marks["sep_token"]),
        options=_word_piece(marks["unk_token"]),
        since=(5, 16),  # before, the second text had segment 1
    )


def _bert_normalizer(settings: Settings) -> Any:
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),
        lowercase=settings.get("do_lower_case", True),
    )


def _word_piece(unknown: str | None) -> dict[str, Any]:
    return {
        "unk_token": str(unknown),
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    }


def _around(first: str | None, last: str | None) -> Template:
    """RoBERTa's template: `<s> A </s>`, and `<s> A </s></s> B </s>`."""
    start, end = str(first), str(last)
    return Template((start, "$A", end), (start, "$A", end, end, "$B", end))


def _roberta(settings: Settings) -> Parts:
    marks = _named(settings, _ROBERTA)
    template = _around(marks["cls_token"], marks["sep_token"])
    return _byte_level(settings, marks, template=template)


def _gpt2(settings: Settings) -> Parts:
    return _byte_level(settings, _named(settings, _GPT2))


def _codegen(settings: Settings) -> Parts:
    return _byte_level(settings, _named(settings, _GPT2), template=_BARE)


def _gpt_neox(settings: Settings) -> Parts:
    marks = _named(settings, _GPT2 | {"pad_token": "<|padding|>"})
    rest = {
        "normalizer": normalizers.NFC(),
        "template": _BARE,
        "since": (5, 16),
    }  # before, the file's template
    return _byte_level(settings, marks, **rest)


def _byte_level(settings: Settings, marks: Mapping[str, str | None], **rest: Any) -> Parts:
    return Parts(
        model="BPE",
        marks=marks,
        pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=settings.get("add_prefix_space", False)),
        options=_merging(),
        **rest,
    )


def _qwen2(settings: Settings) -> Parts:
    from tokenizers import Regex

    has_prefix = settings.get("add_prefix_space")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=bool(has_prefix), use_regex=False)
    return Parts(
        model="BPE",
        marks=_named(settings, {"unk_token": _END, "eos_token": _END, "pad_token": _END}),
        normalizer=normalizers.NFC(),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_QWEN2), "isolated"), byte_level]),
        options=_merging(),
        has_plain_marks=True,
    )


def _gemma(settings: Settings) -> Parts:
    marks = _named(settings, _GEMMA)
    return Parts(
        model="BPE",
        marks=marks,
        normalizer=normalizers.Replace(" ", "▁"),
        pre_tokenizer=pre_tokenizers.Split(" ", "merged_with_previous"),
        options=_merging(unk_token=marks["unk_token"], fuse_unk=True, byte_fallback=True),
    )


def _llama(settings: Settings) -> Parts:
    has_prefix = settings.get("add_prefix_space")
    has_prefix = True if has_prefix is None else has_prefix
    legacy = settings.get("legacy", False)
    scheme = ("always" if legacy else "first") if has_prefix else "never"
    return Parts(
        model="BPE",
        marks=_named(settings, {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}),
        pre_tokenizer=pre_tokenizers.Metaspace("▁", prepend_scheme=scheme, split=False),
        options=_merging(fuse_unk=True, byte_fallback=True),
        begins_words=bool(has_prefix),
    )


def _merging(
    *, unk_token: str | None = None, fuse_unk: bool = False, byte_fallback: bool = False
) -> dict[str, Any]:
    """The options of a BPE model."""
    return {
        "unk_token": unk_token,
        "fuse_unk": fuse_unk,
        "byte_fallback": byte_fallback,
        "dropout": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "ignore_merges": False,
    }


def _t5(settings: Settings) -> Parts:
    marks = _named(settings, {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"})
    end = str(marks["eos_token"])
    return Parts(
        model="Unigram",
        marks=marks,
        pre_tokenizer=_words("always"),
        template=Template(("$A", end), ("$A", end, "$B", end)),
        options={"unk_id": 2},
        more=[f"<extra_id_{index}>" for index in range(settings.get("extra_ids", 100))],
        takes_charsmap=True,
        since=(5, 8),  # before, the charsmap was lost
    )


def _xlm_roberta(settings: Settings) -> Parts:
    marks = _named(settings, _ROBERTA)
    return Parts(
        model="Unigram",
        marks=marks,
        pre_tokenizer=_words("always" if settings.get("add_prefix_space", True) else "never"),
        template=_around(marks["bos_token"], marks["eos_token"]),
        options={"unk_id": 3},
        takes_charsmap=True,
        since=(5, 8),
    )


def _albert(settings: Settings) -> Parts:
    first, last = "[CLS]", "[SEP]"
    steps: list[Any] = [normalizers.Replace(quotes, '"') for quotes in _BEFORE_CHARSMAP]
    if not settings.get("keep_accents", False):
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if settings.get("do_lower_case", True):
        steps.append(normalizers.Lowercase())
    return Parts(
        model="Unigram",
        marks=_named(settings, _ALBERT),
        normalizer=normalizers.Sequence(steps),
        pre_tokenizer=_words("always" if settings.get("add_prefix_space", True) else "never"),
        template=Template((first, "$A", last), (first, "$A", last, "$B", last), second=1),
        options={"unk_id": 1},
        takes_charsmap=True,
        since=(5, 16),
    )


def _words(scheme: str) -> Any:
    """SentencePiece's words: split at white space, ▁ before each."""
    metaspace = pre_tokenizers.Metaspace("▁", prepend_scheme=scheme)
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])


CLASSES: Mapping[str, Callable[[Settings], Parts]] = MappingProxyType(
    {
        "BertTokenizer": _bert,
        "DistilBertTokenizer": _bert,
        "MPNetTokenizer": _mpnet,
        "RobertaTokenizer": _roberta,
        "GPT2Tokenizer": _gpt2,
        "CodeGenTokenizer": _codegen,
        "GPTNeoXTokenizer": _gpt_neox,
        "Qwen2Tokenizer": _qwen2,
        "GemmaTokenizer": _gemma,
        "LlamaTokenizer": _llama,
        "T5Tokenizer": _t5,
        "XLMRobertaTokenizer": _xlm_roberta,
        "AlbertTokenizer": _albert,
    }
)
"""The parts that each class builds, from the settings; other classes are known to transformers only."""
