"""The segments of a pair are those that the model receives from the files' own tokenizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AlbertConfig, AlbertModel, AutoModel, AutoTokenizer, BertConfig, BertModel

from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Texts
from attn_cli.vocabulary import Kind
from tests.support.reference import NUMPY, weights_of
from tests.support.tokenizer_kinds import KINDS, settings, state
from tests.support.twins import PAIR, peak

pytest.importorskip("sentencepiece", reason="pip install -e '.[test]' brings it")

SHAPE: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
NO_SEGMENTS = {"type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]} | {
    "trim_offsets": True,
    "add_prefix_space": False,
}
CASES: dict[str, tuple[str, Any, Callable[[Path], None]]] = {
    "ALBERT's class returns none": ("albert", AlbertModel, lambda _: None),
    "BERT's class in an ALBERT, which some versions overrule": (
        "bert",
        AlbertModel,
        lambda place: settings(place, tokenizer_class="BertTokenizer"),
    ),
    "BERT's class returns both, whatever the file says": (
        "bert",
        BertModel,
        lambda place: state(place, post_processor=NO_SEGMENTS),
    ),
    "the generic class returns none": (
        "bert",
        BertModel,
        lambda place: settings(place, tokenizer_class="PreTrainedTokenizerFast"),
    ),
    "the settings say so": (
        "bert",
        BertModel,
        lambda place: settings(place, model_input_names=["input_ids"]),
    ),
}


@pytest.mark.parametrize(("kind", "model", "edit"), CASES.values(), ids=CASES)
def test_the_weights_of_a_pair_are_those_of_transformers(
    tmp_path: Path, kind: str, model: Any, edit: Callable[[Path], None]
) -> None:
    KINDS[kind](tmp_path)
    config = BertConfig(**SHAPE) if model is BertModel else AlbertConfig(embedding_size=32, **SHAPE)
    made = model(config)
    peak(made, 2.5)
    made.save_pretrained(tmp_path)
    edit(tmp_path)
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path)
    builder: Any = AutoModel
    eager = builder.from_pretrained(tmp_path, attn_implementation="eager").eval()
    with torch.no_grad():
        inputs = tokenizer(*PAIR, return_tensors="pt")
        expected = eager(**inputs, output_attentions=True).attentions
    source = open_checkpoint("twin", tmp_path, NUMPY)
    tokens = source.tokens(*PAIR)
    received = inputs.get("token_type_ids", torch.zeros_like(inputs["input_ids"]))
    assert [token.segment for token in tokens] == received[0].tolist()
    layers = source.attentions(Texts(tokens), Kind.SELF, range(2))
    for layer, theirs in zip(layers, expected, strict=True):
        np.testing.assert_allclose(weights_of(layer), theirs[0], atol=1e-5)  # rounding
