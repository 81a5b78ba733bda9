"""Small directories with the tokenizers of transformers' classes, and edits of their files."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from tests.support.twins import PAIR, TEXTS, byte_fallback, byte_level, word_piece

Edit: TypeAlias = Callable[[Path], None]

_LETTERS = "abcdefghijklmnopqrstuvwxyzTCAFÉé.,'()#<>[]/|_-0123456789"
_WORDS = ("▁the", "▁cat", "▁sat", "the", "cat", "▁", "▁▁", "日", "本")


def settings(directory: Path, **values: Any) -> None:
    """Set values of tokenizer_config.json; `...` removes one."""
    _edit(directory / "tokenizer_config.json", values)


def state(directory: Path, **values: Any) -> None:
    """Set parts of tokenizer.json."""
    _edit(directory / "tokenizer.json", values)


def _edit(path: Path, values: dict[str, Any]) -> None:
    content = json.loads(path.read_text("utf-8")) if path.exists() else {}
    content |= values
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not ...}), "utf-8")


def _save(directory: Path, inner: tokenizers.Tokenizer, kind: str, **values: Any) -> None:
    inner.save(str(directory / "tokenizer.json"))
    (directory / "config.json").write_text(json.dumps({"model_type": kind}), "utf-8")
    settings(directory, **values)


def _rebuilt(directory: Path, inner: tokenizers.Tokenizer, kind: str, name: str, **values: Any) -> None:
    """The directory as `save_pretrained` of the class writes it, from the vocabulary of `inner`."""
    import transformers

    _save(directory, inner, kind, tokenizer_class=name, **values)
    getattr(transformers, name).from_pretrained(directory).save_pretrained(directory)


def _word_piece(*marks: str) -> tokenizers.Tokenizer:
    """The word pieces of the twins, with other names for the special tokens."""
    inner = word_piece()
    plain = json.loads(inner.to_str())
    names = dict(zip(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), marks, strict=True))
    plain["model"]["vocab"] = {names.get(piece, piece): index for piece, index in inner.get_vocab().items()}
    plain["model"]["unk_token"] = names["[UNK]"]
    for token in plain["added_tokens"]:
        token["content"] = names[token["content"]]
    plain["post_processor"] = None
    return tokenizers.Tokenizer.from_str(json.dumps(plain))


def _bytes(*marks: str) -> tokenizers.Tokenizer:
    """The byte-level pieces of the twins behind other special tokens."""
    plain = json.loads(byte_level().to_str())
    pieces = [*marks, *(piece for piece in plain["model"]["vocab"] if piece != "<|endoftext|>")]
    plain["model"]["vocab"] = {piece: index for index, piece in enumerate(pieces)}
    plain["added_tokens"] = []
    inner = tokenizers.Tokenizer.from_str(json.dumps(plain))
    inner.add_special_tokens(list(marks))
    return inner


def _unigram(*marks: str, unknown: int, charsmap: bytes | None) -> tokenizers.Tokenizer:
    pieces = [(mark, 0.0) for mark in marks]
    pieces += [(piece, -2.0 - place / 10) for place, piece in enumerate((*_WORDS, *_LETTERS))]
    inner = tokenizers.Tokenizer(models.Unigram(pieces, unknown, byte_fallback=False))
    if charsmap is not None:
        inner.normalizer = normalizers.Precompiled(charsmap)
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.decoder = decoders.Metaspace()
    inner.add_special_tokens(list(marks))
    return inner


def charsmap() -> bytes:
    """The normaliser of a model of SentencePiece (NFKC)."""
    import sentencepiece
    from transformers.convert_slow_tokenizer import import_protobuf

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter([*TEXTS, *PAIR] * 20),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    # A second copy of the same messages would be an error for transformers.
    proto: Any = import_protobuf()  # type: ignore[no-untyped-call]
    return bytes(proto.ModelProto.FromString(model.getvalue()).normalizer_spec.precompiled_charsmap)


def _llama2(directory: Path) -> None:
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    old = {"legacy": False, "add_bos_token": True, "add_eos_token": False}
    _save(directory, byte_fallback(), "llama", tokenizer_class="LlamaTokenizer", **tokens, **old)


def _characters(directory: Path) -> None:
    vocabulary = {letter: index for index, letter in enumerate(["[UNK]", *_LETTERS, " ", "日"])}
    inner = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex("."), "isolated")
    inner.add_special_tokens(["[UNK]"])
    _save(directory, inner, "gpt2", tokenizer_class="PreTrainedTokenizerFast", unk_token="[UNK]")


def _llama3(directory: Path) -> None:
    inner = _bytes("<|begin_of_text|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")
    byte_template = processors.ByteLevel(trim_offsets=False)
    template = processors.TemplateProcessing(
        single="<|begin_of_text|> $A",
        pair="<|begin_of_text|> $A <|begin_of_text|>:1 $B:1",
        special_tokens=[("<|begin_of_text|>", 0)],
    )
    inner.post_processor = processors.Sequence([byte_template, template])
    tokens = {"bos_token": "<|begin_of_text|>", "eos_token": "<|im_end|>"}
    _save(directory, inner, "llama", tokenizer_class="PreTrainedTokenizerFast", **tokens)


_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")


def _of_bytes(kind: str, name: str, *marks: str) -> Edit:
    return lambda place: _rebuilt(place, _bytes(*marks), kind, name)


def _of_pieces(kind: str, name: str, *marks: str, unknown: int) -> Edit:
    return lambda place: _rebuilt(
        place, _unigram(*marks, unknown=unknown, charsmap=charsmap()), kind, name, extra_ids=0
    )


def _gemma(directory: Path) -> None:
    plain = json.loads(byte_fallback().to_str())
    pieces = [*_GEMMA, *list(plain["model"]["vocab"])[3:]]
    plain["model"] |= {"vocab": {piece: index for index, piece in enumerate(pieces)}, "fuse_unk": True}
    plain |= {"added_tokens": [], "post_processor": None}
    inner = tokenizers.Tokenizer.from_str(json.dumps(plain))
    inner.add_special_tokens(list(_GEMMA))
    inner.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", 2)]
    )
    _rebuilt(directory, inner, "gemma2", "GemmaTokenizer")


KINDS: Mapping[str, Edit] = MappingProxyType(
    {
        "bert": lambda place: _rebuilt(place, _word_piece(*_BERT), "bert", "BertTokenizer"),
        "distilbert": lambda place: _rebuilt(place, _word_piece(*_BERT), "distilbert", "DistilBertTokenizer"),
        "electra": lambda place: _rebuilt(place, _word_piece(*_BERT), "electra", "BertTokenizer"),
        "mpnet": lambda place: _rebuilt(
            place, _word_piece("<pad>", "[UNK]", "<s>", "</s>", "<mask>"), "mpnet", "MPNetTokenizer"
        ),
        "roberta": _of_bytes("roberta", "RobertaTokenizer", *_ROBERTA),
        "bart": _of_bytes("bart", "RobertaTokenizer", *_ROBERTA),
        "gpt2": _of_bytes("gpt2", "GPT2Tokenizer", "<|endoftext|>"),
        "opt": _of_bytes("opt", "GPT2Tokenizer", "<|endoftext|>", "<s>", "</s>"),
        "phi": _of_bytes("phi", "CodeGenTokenizer", "<|endoftext|>"),
        "gpt_neox": _of_bytes("gpt_neox", "GPTNeoXTokenizer", "<|endoftext|>", "<|padding|>"),
        "qwen2": _of_bytes("qwen2", "Qwen2Tokenizer", "<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        "gemma2": _gemma,
        "llama": lambda place: _rebuilt(place, byte_fallback(), "llama", "LlamaTokenizer"),
        "llama, as version 4 saved it": _llama2,
        "llama, byte-level": _llama3,
        "t5": _of_pieces("t5", "T5Tokenizer", "<pad>", "</s>", "<unk>", unknown=2),
        "xlm-roberta": _of_pieces("xlm-roberta", "XLMRobertaTokenizer", *_ROBERTA, unknown=3),
        "albert": _of_pieces(
            "albert", "AlbertTokenizer", "<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", unknown=1
        ),
        "camembert": _of_pieces("camembert", "CamembertTokenizer", *_ROBERTA, unknown=3),
        "characters": _characters,
        "bert, generic": lambda place: _save(
            place, word_piece(), "bert", tokenizer_class="PreTrainedTokenizerFast", cls_token="[CLS]"
        ),
    }
)
"""A name to a function that fills a directory."""


def _set(**values: Any) -> Edit:
    return lambda place: settings(place, **values)


def _parts(**values: Any) -> Edit:
    return lambda place: state(place, **values)


def _model(**values: Any) -> Edit:
    def edit(place: Path) -> None:
        model = json.loads((place / "tokenizer.json").read_text("utf-8"))["model"]
        state(place, model=model | values)

    return edit


def _added(place: Path) -> dict[str, dict[str, Any]]:
    """The added tokens of tokenizer.json, as `added_tokens_decoder`."""
    tokens = json.loads((place / "tokenizer.json").read_text("utf-8"))["added_tokens"]
    return {str(token.pop("id")): token for token in tokens}


def _listed(change: Callable[[dict[str, dict[str, Any]]], object]) -> Edit:
    def edit(place: Path) -> None:
        tokens = _added(place)
        change(tokens)
        settings(place, added_tokens_decoder=tokens)

    return edit


def _stored(change: Callable[[list[dict[str, Any]]], object]) -> Edit:
    def edit(place: Path) -> None:
        tokens = json.loads((place / "tokenizer.json").read_text("utf-8"))["added_tokens"]
        change(tokens)
        state(place, added_tokens=tokens)

    return edit


def _json(name: str, content: object) -> Edit:
    def edit(place: Path) -> None:
        (place / name).write_text(json.dumps(content), "utf-8")

    return edit


def _token(content: str, **flags: bool) -> dict[str, Any]:
    plain = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False)
    return {"content": content, **(plain | flags)}


def _template(single: str, pair: str) -> Edit:
    """A template of the first added token."""

    def edit(place: Path) -> None:
        index, token = next(iter(_added(place).items()))
        mark = token["content"]
        built = processors.TemplateProcessing(
            single=single.replace("X", mark),
            pair=pair.replace("X", mark),
            special_tokens=[(mark, int(index))],
        )
        state(place, post_processor=json.loads(built.__getstate__()))

    return edit


def _first_mark(place: Path, name: str) -> None:
    settings(place, **{name: list(_added(place).values())[-1]["content"]})


def _class_in_config(place: Path) -> None:
    settings(place, tokenizer_class=...)
    _edit(place / "config.json", {"tokenizer_class": "BertTokenizer"})


NEW = 900
EDITS: dict[str, Edit] = {
    "nothing": lambda _place: None,
    "no tokenizer_config.json": lambda place: (place / "tokenizer_config.json").unlink(),
    "no class": _set(tokenizer_class=...),
    "the generic class": _set(tokenizer_class="PreTrainedTokenizerFast"),
    "TokenizersBackend": _set(tokenizer_class="TokenizersBackend"),
    "BERT's class": _set(tokenizer_class="BertTokenizer"),
    "BERT's class, fast": _set(tokenizer_class="BertTokenizerFast"),
    "GPT-2's class": _set(tokenizer_class="GPT2TokenizerFast"),
    "Llama's class": _set(tokenizer_class="LlamaTokenizerFast"),
    "RoBERTa's class": _set(tokenizer_class="RobertaTokenizer"),
    "a class in config.json": _class_in_config,
    "no config.json": lambda place: (place / "config.json").unlink(),
    "no model_type": _json("config.json", {}),
    "an unknown model_type": _json("config.json", {"model_type": "nosuch"}),
    "another model_type": _json("config.json", {"model_type": "qwen2"}),
    "the model_type of a translator": _json("config.json", {"model_type": "marian"}),
    "an unknown class": _set(tokenizer_class="NoSuchTokenizer"),
    "do_lower_case": _set(do_lower_case=True),
    "no do_lower_case": _set(do_lower_case=False),
    "do_lower_case removed": _set(do_lower_case=...),
    "strip_accents": _set(strip_accents=True),
    "no strip_accents": _set(strip_accents=False),
    "no tokenize_chinese_chars": _set(tokenize_chinese_chars=False),
    "keep_accents": _set(keep_accents=True),
    "add_prefix_space": _set(add_prefix_space=True),
    "no add_prefix_space": _set(add_prefix_space=False),
    "legacy": _set(legacy=True),
    "not legacy": _set(legacy=False),
    "legacy null": _set(legacy=None),
    "add_bos_token": _set(add_bos_token=True),
    "no add_bos_token": _set(add_bos_token=False),
    "add_eos_token": _set(add_eos_token=True),
    "split_special_tokens": _set(split_special_tokens=True),
    "an unknown setting": _set(some_setting=True),
    "unk_id": _set(unk_id=0),
    "segments": _set(model_input_names=["input_ids", "token_type_ids", "attention_mask"]),
    "no segments": _set(model_input_names=["input_ids", "attention_mask"]),
    "all tokens listed": _listed(lambda tokens: tokens),
    "no tokens listed": _listed(lambda tokens: tokens.clear()),
    "a token listed less": _listed(lambda tokens: tokens.popitem()),
    "a token listed more": _listed(lambda tokens: tokens.update({str(NEW): _token("<NEW>", special=True)})),
    "a plain token listed": _listed(
        lambda tokens: tokens.update({str(NEW): _token("<other>", normalized=True)})
    ),
    "a word listed": _listed(lambda tokens: tokens.update({str(NEW): _token("cat")})),
    "a listed token that strips": _listed(
        lambda tokens: tokens.update(
            {index: {**token, "lstrip": True, "rstrip": True} for index, token in tokens.items()}
        )
    ),
    "a listed token that is a word": _listed(
        lambda tokens: tokens.update(
            {index: {**token, "single_word": True} for index, token in tokens.items()}
        )
    ),
    "added_tokens.json": _json("added_tokens.json", {"<NEW>": NEW, "<other>": NEW + 1}),
    "a known token in added_tokens.json": lambda place: _json(
        "added_tokens.json", {token["content"]: int(index) for index, token in _added(place).items()}
    )(place),
    "special_tokens_map.json": _json("special_tokens_map.json", {"mask_token": "<NEW>"}),
    "a word in special_tokens_map.json": _json("special_tokens_map.json", {"mask_token": "the"}),
    "special_tokens_map.json with flags": _json(
        "special_tokens_map.json", {"mask_token": _token("<mask>", lstrip=True)}
    ),
    "additional_special_tokens": _set(additional_special_tokens=["<NEW>", "cat"]),
    "extra_special_tokens": _set(extra_special_tokens=["<NEW>"]),
    "named extra_special_tokens": _set(extra_special_tokens={"image_token": "<NEW>"}),
    "a token of the model's own": _set(image_token="<NEW>"),
    "new tokens of the model's own": _set(model_specific_special_tokens={"image_token": "<NEW>"}),
    "a known token of the model's own": lambda place: _first_mark(place, "image_token"),
    "known tokens of the model's own": lambda place: settings(
        place,
        model_specific_special_tokens={"image_token": next(iter(_added(place).values()))["content"]},
        chat_control_tokens=["cat"],
    ),
    "known extra_special_tokens": lambda place: settings(
        place, extra_special_tokens={"sound_token": next(iter(_added(place).values()))["content"]}
    ),
    "another cls_token": lambda place: _first_mark(place, "cls_token"),
    "another sep_token": lambda place: _first_mark(place, "sep_token"),
    "another bos_token": lambda place: _first_mark(place, "bos_token"),
    "another eos_token": lambda place: _first_mark(place, "eos_token"),
    "another unk_token": lambda place: _first_mark(place, "unk_token"),
    "a new bos_token": _set(bos_token="<NEW>"),
    "a null mask_token": _set(mask_token=None),
    "a token with flags": _set(mask_token={"__type": "AddedToken", **_token("<mask>", lstrip=True)}),
    "padding with a word": _parts(
        padding={
            "strategy": "BatchLongest",
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "cat",
        }
    ),
    "no post-processor": _parts(post_processor=None),
    "a template without segments": _template("X $A X", "X $A X $B X"),
    "a template with segments": _template("X $A", "X $A X:1 $B:1"),
    "BERT's post-processor": _parts(
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 2]}
    ),
    "RoBERTa's post-processor": _parts(
        post_processor={
            "type": "RobertaProcessing",
            "sep": ["</s>", 2],
            "cls": ["<s>", 0],
            "trim_offsets": True,
            "add_prefix_space": False,
        }
    ),
    "no normaliser": _parts(normalizer=None),
    "another normaliser": _parts(normalizer={"type": "Lowercase"}),
    "several normalisers": _parts(
        normalizer={"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "StripAccents"}]}
    ),
    "another pre-tokenizer": _parts(pre_tokenizer={"type": "WhitespaceSplit"}),
    "a token stored less": _stored(lambda tokens: tokens.pop()),
    "tokens stored in another order": _stored(lambda tokens: tokens.reverse()),
    "a token stored more": _stored(
        lambda tokens: tokens.append({"id": NEW, **_token("<NEW>", special=True)})
    ),
    "tokens stored with wrong ids": _stored(
        lambda tokens: tokens.extend(
            ({"id": NEW + 1, **_token("<NEW>")}, {"id": NEW, **_token("<other>", lstrip=True)})
        )
    ),
    "a word stored": _stored(lambda tokens: tokens.append({"id": 5, **_token("cat", single_word=True)})),
    "another unknown piece": _model(unk_token="the"),
    "whole words": _model(ignore_merges=True),
    "short words": _model(max_input_chars_per_word=4),
    "unknown pieces apart": _model(fuse_unk=False),
    "no byte fallback": _model(byte_fallback=False),
    "padding and truncation": _parts(
        truncation={"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    ),
}
"""A name to a change of a directory."""
