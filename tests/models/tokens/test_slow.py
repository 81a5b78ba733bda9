"""Tokenizers without `tokenizer.json`: the ids of transformers and SentencePiece, correct places."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, MarianConfig, MarianMTModel

from attn_cli.errors import AttnError
from attn_cli.models.files.safe_paths import LARGEST_TEXT
from attn_cli.models.tokens.fast import FastTokenizer
from attn_cli.models.tokens.open import open_tokenizer
from attn_cli.models.tokens.slow import open_slow_tokenizer
from attn_cli.models.tokens.token import Token, Tokenizer
from tests.support.twins import PAIR, TEXTS, WIDTH, byte_level, peak, word_piece
from tests.support.worlds import attn

pytest.importorskip("sentencepiece", reason="pip install -e '.[test]' brings it")
pytest.importorskip("google.protobuf", reason="pip install -e '.[test]' brings it")

RELOAD = "download the tokenizer's files again"
FRENCH = "Le chat dormait sur le tapis."
WORDS = [*TEXTS, *PAIR, FRENCH]
STRANGE = ("it's  CAFÉ, naïve", "a </s> b [SEP] c", "Cafe\u0301 ﬁn 🙂", "xyz\n日")


def trained(path: Path, pieces: int, kind: str = "unigram", texts: list[str] = WORDS, **how: Any) -> None:
    """A SentencePiece model trained on the texts."""
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=iter(texts * 20),
        model_writer=model,
        vocab_size=pieces,
        model_type=kind,
        hard_vocab_limit=False,
        minloglevel=2,
        **how,
    )
    path.write_bytes(model.getvalue())


def pieces_of(path: Path) -> Any:
    """The pieces according to SentencePiece itself."""
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def said(directory: Path, kind: str, **tokenizer: Any) -> None:
    """Write the configuration files of the directory."""
    (directory / "config.json").write_text(json.dumps({"model_type": kind}))
    if tokenizer:
        (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer))


def bert(directory: Path, **tokenizer: Any) -> None:
    vocabulary = word_piece().get_vocab()
    (directory / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n")
    said(directory, "bert", **tokenizer)


def merges(directory: Path, kind: str, *marks: str, **tokenizer: Any) -> None:
    inner = byte_level()
    known = inner.get_vocab()
    pieces = [*marks, *(each for each in sorted(known, key=known.__getitem__) if each not in marks)]
    (directory / "vocab.json").write_text(json.dumps({piece: index for index, piece in enumerate(pieces)}))
    listed = json.loads(inner.to_str())["model"]["merges"]
    lines = ["#version: 0.2", *(" ".join(pair) for pair in listed)]
    (directory / "merges.txt").write_text("\n".join(lines) + "\n")
    said(directory, kind, **tokenizer)


def scored(directory: Path, kind: str, file: str, how: dict[str, Any], **tokenizer: Any) -> None:
    trained(directory / file, **{"pieces": 90} | how)
    said(directory, kind, **tokenizer)


def marian(directory: Path) -> None:
    trained(directory / "source.spm", 90, texts=[*TEXTS, *PAIR])
    trained(directory / "target.spm", 60, texts=[FRENCH])
    known = [
        spm.id_to_piece(index)
        for spm in (pieces_of(directory / "source.spm"), pieces_of(directory / "target.spm"))
        for index in range(3, spm.get_piece_size())
    ]
    pieces = list(dict.fromkeys(["</s>", "<unk>", *known, "<pad>"]))
    (directory / "vocab.json").write_text(json.dumps({piece: index for index, piece in enumerate(pieces)}))
    said(directory, "marian", source_lang="en", target_lang="fr")


T5 = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
ALBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1} | {
    "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]
}
DEBERTA = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3} | {
    f"{name}_piece": f"[{mark}]" for name, mark in (("bos", "CLS"), ("eos", "SEP"), ("unk", "UNK"))
}
BYTES = {"kind": "bpe", "byte_fallback": True, "pieces": 400}
KINDS: dict[str, Callable[[Path], None]] = {
    "bert": bert,
    "bert, cased": lambda place: bert(place, do_lower_case=False),
    "gpt2": lambda place: merges(place, "gpt2", "<|endoftext|>"),
    "opt": lambda place: merges(place, "opt", "<s>", "<pad>", "</s>", add_bos_token=True, bos_token="</s>"),
    "roberta": lambda place: merges(place, "roberta", "<s>", "<pad>", "</s>", "<unk>", "<mask>"),
    "bart": lambda place: merges(place, "bart", "<s>", "<pad>", "</s>", "<unk>", "<mask>"),
    "t5": lambda place: scored(place, "t5", "spiece.model", T5),
    "albert": lambda place: scored(place, "albert", "spiece.model", ALBERT),
    "deberta": lambda place: scored(place, "deberta-v2", "spm.model", DEBERTA),
    "camembert": lambda place: scored(place, "camembert", "sentencepiece.bpe.model", {}),
    "xlm-roberta": lambda place: scored(place, "xlm-roberta", "sentencepiece.bpe.model", {}),
    "mbart": lambda place: scored(place, "mbart", "sentencepiece.bpe.model", {}),
    "llama": lambda place: scored(
        place, "llama", "tokenizer.model", BYTES, tokenizer_class="LlamaTokenizer", add_bos_token=True
    ),
    "marian": marian,
}


@pytest.fixture(scope="session", params=KINDS)
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("older")
    KINDS[request.param](place)
    return place


Make: TypeAlias = Callable[[str], Path]
"""The name of a kind to a directory of that kind."""


@pytest.fixture
def of(tmp_path: Path) -> Make:
    def make(name: str) -> Path:
        KINDS[name](tmp_path)
        return tmp_path

    return make


def ids(tokens: tuple[Token, ...]) -> list[int]:
    return [token.id for token in tokens]


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")  # which it then does not use
@pytest.mark.parametrize("texts", [*((text,) for text in (*TEXTS, *STRANGE)), PAIR])
def test_ids_and_segments_are_those_of_transformers(directory: Path, texts: tuple[str, ...]) -> None:
    tokenizer = open_tokenizer(directory)
    found = tokenizer(*texts)
    expected = AutoTokenizer.from_pretrained(directory)(*texts)
    assert ids(found) == expected["input_ids"]
    assert tokenizer.count(*texts) == len(found)
    assert [token.segment for token in found] == expected.get("token_type_ids", [0] * len(found))


@pytest.mark.parametrize("text", [*TEXTS, *STRANGE])
def test_every_token_has_a_place_in_the_text(directory: Path, text: str) -> None:
    found = open_tokenizer(directory)(text)
    assert [token.position for token in found] == list(range(len(found)))
    assert all(0 <= token.start <= token.end <= len(text) for token in found)
    assert [token.start for token in found if not token.special] == sorted(
        token.start for token in found if not token.special
    )


def test_a_sentencepiece_vocabulary_tokenizes_as_sentencepiece_does(of: Make) -> None:
    directory = of("t5")
    theirs = pieces_of(directory / "spiece.model")
    for text in TEXTS:
        assert ids(open_tokenizer(directory)(text)) == [*theirs.encode(text), 1]


def test_a_llama_begins_with_a_mark_and_a_space(of: Make) -> None:
    directory = of("llama")
    theirs = pieces_of(directory / "tokenizer.model")
    for text in TEXTS:
        assert ids(open_tokenizer(directory)(text)) == [1, *theirs.encode(text)]


def test_marian_tokenizes_its_languages_with_two_vocabularies(of: Make) -> None:
    directory = of("marian")
    cut, known = open_tokenizer(directory), json.loads((directory / "vocab.json").read_text())
    for name, tokenizer, text in (("source", cut, TEXTS[1]), ("target", cut.target_tokenizer(), FRENCH)):
        pieces = pieces_of(directory / f"{name}.spm").encode(text, out_type=str)
        assert ids(tokenizer(text)) == [*(known[piece] for piece in pieces), known["</s>"]]
    assert ids(cut.target_tokenizer()(FRENCH)) != ids(cut(FRENCH))


def test_a_python_tokenizer_gives_texts_and_places(of: Make) -> None:
    found = open_tokenizer(of("marian"))("the cat Ω </s>")
    assert not isinstance(found, FastTokenizer)
    words = [(token.piece, token.text, token.start, token.end, token.special) for token in found]
    assert words == [
        ("▁t", " t", 0, 1, False),
        ("h", "h", 1, 2, False),
        ("e", "e", 2, 3, False),
        ("▁cat", " cat", 4, 7, False),
        ("▁", " ", 7, 8, False),
        ("<unk>", "<unk>", 8, 9, True),
        ("</s>", "</s>", 10, 14, True),
        ("</s>", "</s>", 14, 14, True),
    ]


def test_a_python_tokenizer_knows_its_tokens_by_number(of: Make) -> None:
    start = open_tokenizer(of("marian")).token(0)
    assert start == Token(0, 0, "</s>", "</s>", start=0, end=0, special=True, segment=0)


def refused(directory: Path) -> tuple[str, str]:
    with pytest.raises(AttnError) as caught:
        open_tokenizer(directory)("a")
    return caught.value.problem, caught.value.hint


def test_without_the_packages_it_says_what_to_install(of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = of("t5")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    problem = "needs the packages sentencepiece and protobuf, which are not installed"
    hint = "pip install 'attn-cli[sentencepiece]'"
    assert refused(directory) == (f"{directory}/spiece.model {problem}", hint)


def test_marks_without_a_vocabulary_are_refused(of: Make) -> None:
    directory = of("bert, cased")
    (directory / "vocab.txt").unlink()
    problem = f"{directory} has no tokenizer: neither tokenizer.json nor an older file"
    hint = "--tokenizer DIR, the directory of the model that it was trained with"
    assert refused(directory) == (problem, hint)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt"])
def test_half_of_a_vocabulary_is_refused(of: Make, name: str) -> None:
    directory = of("gpt2")
    (directory / name).unlink()
    assert refused(directory)[0].startswith(f"transformers cannot read the tokenizer in {directory}: ")


def test_files_of_an_unnamed_tokenizer_are_refused(of: Make) -> None:
    directory = of("llama")
    (directory / "tokenizer_config.json").unlink()
    problem = f"{directory} does not say which tokenizer class its files belong to"
    hint = 'name it in tokenizer_config.json: {"tokenizer_class": "LlamaTokenizer"}'
    assert refused(directory) == (problem, hint)


@pytest.mark.parametrize("content", [b"", b"\xff" * 99, b"hello"])
def test_a_damaged_model_of_sentencepiece_is_named(of: Make, content: bytes) -> None:
    directory = of("t5")
    (directory / "spiece.model").write_bytes(content)
    assert refused(directory) == (f"{directory}/spiece.model is not a SentencePiece model", RELOAD)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"a": "b"}', b"\xff"])
def test_a_damaged_vocabulary_is_refused(of: Make, content: bytes) -> None:
    directory = of("marian")
    (directory / "vocab.json").write_bytes(content)
    problem, _ = refused(directory)
    assert problem.startswith(f"transformers cannot read the tokenizer in {directory}: ")


@pytest.mark.parametrize("kind", ["AutoTokenizer", "AutoModel", "pipeline", 7])
def test_a_class_that_is_not_a_tokenizer_is_not_created(of: Make, kind: object) -> None:
    directory = of("bert")
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    problem = f"{directory}/tokenizer_config.json names a tokenizer_class that is not a tokenizer: {kind!r}"
    assert refused(directory) == (problem, RELOAD)


@pytest.mark.usefixtures("modules")
def test_a_custom_tokenizer_runs_only_if_trusted(of: Make) -> None:
    directory = of("bert")
    own = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}}
    (directory / "tokenizer_config.json").write_text(json.dumps(own))
    (directory / "config.json").write_text('{"model_type": "own"}')
    (directory / "own.py").write_text("raise SystemExit('it ran')")
    needs = f"the tokenizer in {directory} needs the Python code that comes with the checkpoint"
    problem = f"{needs}, and that code would run with your permissions"
    hint = "--trust-remote-code, if you have read that code or trust its author"
    assert refused(directory) == (problem, hint)
    with pytest.raises(SystemExit, match="it ran"):
        open_slow_tokenizer(directory, trusts_code=True)


@pytest.mark.parametrize("name", ["vocab.txt", "special_tokens_map.json", "added_tokens.json"])
def test_a_link_out_of_the_checkpoint_is_not_followed(
    of: Make, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    directory = of("bert")
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("{}")
    (directory / name).unlink(missing_ok=True)
    (directory / name).symlink_to(outside)
    problem = f"{directory}/{name} is a link that points outside the checkpoint: to {outside}"
    assert refused(directory) == (problem, "replace the link with a copy of the file, if you trust it")


def test_a_vocabulary_that_would_fill_the_memory_is_not_read(of: Make) -> None:
    directory = of("bert")
    with (directory / "vocab.txt").open("r+b") as file:
        file.truncate(LARGEST_TEXT + 1)
    problem = f"{directory}/vocab.txt is too large: 100 MB, and the limit is 100 MB"
    assert refused(directory) == (problem, "download the file again")


def test_bytes_need_no_vocabulary(tmp_path: Path) -> None:
    said(tmp_path, "t5", tokenizer_class="ByT5Tokenizer")
    found: Tokenizer = open_tokenizer(tmp_path)
    spans = [(token.start, token.end) for token in found("é x")]
    assert ids(found("é x")) == [198, 172, 35, 123, 1]
    assert spans == [(0, 1), (0, 1), (1, 2), (2, 3), (3, 3)]


def translator(directory: Path, *, separate: bool = False, spare: int = 0, **config: Any) -> None:
    """A small Marian with its tokenizer; `spare` is what its decoder's vocabulary has beyond the tokens."""
    marian(directory)
    own = directory / "vocab.json"
    if separate:
        pieces = [pieces_of(directory / "target.spm").id_to_piece(index) for index in range(3, 20)]
        numbered = {piece: index for index, piece in enumerate(["</s>", "<unk>", *pieces, "<pad>"])}
        (directory / "target_vocab.json").write_text(json.dumps(numbered))
        said(directory, "marian", source_lang="en", target_lang="fr", separate_vocabs=True)
        own = directory / "target_vocab.json"
    source, target = (len(json.loads(path.read_text())) for path in (directory / "vocab.json", own))
    sizes: dict[str, Any] = {"decoder_vocab_size": target + spare} if separate or spare else {}
    whole: Any = MarianConfig(
        vocab_size=source,
        d_model=WIDTH,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=64,
        pad_token_id=target - 1,
        eos_token_id=0,
        decoder_start_token_id=target - 1,
        **sizes,
        **config,
    )
    model = MarianMTModel(whole)
    peak(model, 2.4)
    model.save_pretrained(directory)


APART = {"share_encoder_decoder_embeddings": False, "tie_word_embeddings": False}
VOCABULARIES: dict[str, dict[str, Any]] = {
    "one": {},
    "one, an embedding each": APART,
    "one, untied": {"tie_word_embeddings": False},
    "one, with spare rows": {"tie_word_embeddings": False, "spare": 7},
    "one, with a size that is not used": {"spare": 7},
    "two": {"separate": True, **APART},
    "two, untied": {"separate": True, "tie_word_embeddings": False},
}


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
@pytest.mark.parametrize("words", VOCABULARIES.values(), ids=VOCABULARIES)
def test_every_vocabulary_of_a_translator_gives_the_weights_of_transformers(
    tmp_path: Path, words: dict[str, Any]
) -> None:
    translator(tmp_path, **words)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path)
    kind_of_model: Any = MarianMTModel
    model = kind_of_model.from_pretrained(tmp_path, attn_implementation="eager").eval()
    source, labels = tokenizer(TEXTS[1])["input_ids"], tokenizer(text_target=FRENCH)["input_ids"]
    read = [model.config.decoder_start_token_id, *labels[:-1]]
    with torch.no_grad():
        theirs = model(torch.tensor([source]), decoder_input_ids=torch.tensor([read]), output_attentions=True)
    for kind in ("encoder", "decoder", "cross"):
        told = ("-m", tmp_path, "--target", FRENCH, "--kind", kind, "-l", "all", "-s", "weights", "--json")
        found = attn("inspect", TEXTS[1], *told).document
        assert [token["id"] for token in found["tokens"]] == source
        assert [token["id"] for token in found["target_tokens"]] == read
        expected = theirs[f"{kind}_attentions"]
        for head in found["attention"]:
            weights = expected[head["layer"]][0, head["head"]].numpy()
            assert np.abs(np.array(head["steps"]["weights"]) - weights).max() < 1e-5  # rounding


@pytest.mark.parametrize("words", VOCABULARIES.values(), ids=VOCABULARIES)
def test_every_vocabulary_of_a_translator_is_verified(tmp_path: Path, words: dict[str, Any]) -> None:
    translator(tmp_path, **words)
    told = ("-m", tmp_path, "--target", FRENCH, "--json")
    assert attn("verify", TEXTS[1], *told).document["passed"] is True


@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
def test_without_its_end_token_a_translator_reads_the_text_alone(of: Make) -> None:
    directory = of("marian")
    bare = open_tokenizer(directory).without_template()
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    assert ids(bare(TEXTS[1])) == tokenizer(TEXTS[1], add_special_tokens=False)["input_ids"]
    expected = tokenizer(text_target=FRENCH, add_special_tokens=False)["input_ids"]
    assert ids(bare.target_tokenizer()(FRENCH)) == expected
    assert bare.size == len(json.loads((directory / "vocab.json").read_text()))


def test_a_translator_with_a_language_marks_its_target_with_it(of: Make) -> None:
    directory = of("mbart")
    tokenizer: Any = AutoTokenizer.from_pretrained(directory, src_lang="en_XX", tgt_lang="fr_XX")
    tokenizer.save_pretrained(directory)
    ours = open_tokenizer(directory)
    theirs: Any = AutoTokenizer.from_pretrained(directory)
    assert ids(ours(TEXTS[1])) == theirs(TEXTS[1])["input_ids"]
    assert ids(ours.target_tokenizer()(FRENCH)) == theirs(text_target=FRENCH)["input_ids"]
    assert ids(ours.target_tokenizer()(FRENCH)) != ids(ours(FRENCH))
