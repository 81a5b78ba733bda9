"""The encoder or the decoder of an encoder-decoder model by itself: its files lack the other half."""

import importlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.support.every_type import are_shares, stir
from tests.support.twins import save_tokenizer, word_piece
from tests.support.worlds import attn, refused

pytestmark = pytest.mark.slow  # each model is made, saved and loaded by transformers

TEXT = "the cat sat on the mat"
CLOSE = 2e-5  # another order of sums in float32

_T5 = {"vocab_size": 128, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4}
_BART = {
    **{f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in (
        ("layers", 3), ("attention_heads", 4), ("ffn_dim", 48))},
    "vocab_size": 128, "d_model": 32, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": None,
}  # fmt: skip

HALVES: dict[str, tuple[str, dict[str, Any]]] = {
    "T5EncoderModel": ("t5", _T5),
    "T5ForTokenClassification": ("t5", _T5),
    "MT5EncoderModel": ("mt5", _T5),
    "UMT5EncoderModel": ("umt5", _T5),
    "UMT5ForTokenClassification": ("umt5", _T5),
    "SwitchTransformersEncoderModel": ("switch_transformers", _T5 | {"num_sparse_encoder_layers": 1}),
    "BartEncoder": ("bart", _BART),
    "MarianEncoder": ("marian", _BART),
    "PegasusEncoder": ("pegasus", _BART),
    "M2M100Encoder": ("m2m_100", _BART),
    "BartForCausalLM": ("bart", _BART),
    "MBartForCausalLM": ("mbart", _BART),
    "M2M100Decoder": ("m2m_100", _BART),
}
NATIVE = {"T5EncoderModel", "T5ForTokenClassification"}


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def directory(name: str) -> Path:
        kind, settings = HALVES[name]
        found = tmp_path_factory.mktemp(name)
        model = class_of(name)(transformers.AutoConfig.for_model(kind, **settings)).eval()
        stir(model)
        model.save_pretrained(found)
        save_tokenizer(word_piece(), found)
        return found

    return directory


def class_of(name: str) -> Any:
    return getattr(
        importlib.import_module(f"transformers.models.{HALVES[name][0]}.modeling_{HALVES[name][0]}"), name
    )


def skip_if_unjudged(attentions: Any) -> None:
    if not all(are_shares(each) for each in attentions):
        pytest.skip("this version of transformers returns biases for the weights of Switch Transformers")


def loaded(name: str, directory: Path) -> Any:
    return class_of(name).from_pretrained(directory, attn_implementation="eager").eval()


def kind_of(name: str) -> str:
    return "self" if "Decoder" in name or "CausalLM" in name else "encoder"


@pytest.mark.parametrize("name", HALVES)
def test_half_of_a_model_is_read_without_the_other(name: str, saved: Callable[[str], Path]) -> None:
    line = ("-m", saved(name), "-l", "all", "-H", "all", "-s", "weights", "--json", "--kind", kind_of(name))
    found = attn("inspect", TEXT, *line).document
    assert found["engine"] == ("native" if name in NATIVE else "transformers")
    model = loaded(name, saved(name))
    ids = torch.tensor([[token["id"] for token in found["tokens"]]])
    with torch.no_grad():
        outputs = model(input_ids=ids, output_attentions=True)
    skip_if_unjudged(outputs.attentions)
    assert len(found["attention"]) == 12
    for entry in found["attention"]:
        expected = outputs.attentions[entry["layer"]][0, entry["head"]]
        np.testing.assert_allclose(entry["steps"]["weights"], expected, atol=CLOSE)


@pytest.mark.parametrize("name", HALVES)
def test_half_of_a_model_is_verified(name: str, saved: Callable[[str], Path]) -> None:
    ids = torch.tensor([[9, 17, 30]])
    skip_if_unjudged(loaded(name, saved(name))(input_ids=ids, output_attentions=True).attentions)
    found = attn("verify", TEXT, "-m", saved(name), "--json").document
    assert found["passed"]
    assert [(each["kind"], each["layer"]) for each in found["layers"]] == [
        (kind_of(name), n) for n in range(3)
    ]


@pytest.mark.parametrize("name", HALVES)
def test_the_half_that_is_missing_cannot_be_shown(name: str, saved: Callable[[str], Path]) -> None:
    have = kind_of(name)
    answer = refused(attn("inspect", TEXT, "-m", saved(name), "--kind", "cross", "--target", "the cat"))
    assert answer == (2, f"{saved(name).name} has no cross attention: it has {have}", f"--kind {have}")
    answer = refused(attn("inspect", TEXT, "-m", saved(name), "--target", "the cat"))
    assert answer == (2, f"{saved(name).name} has no decoder, so it takes no --target", "leave out --target")
