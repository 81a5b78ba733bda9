"""The mask that the config asks for: `is_causal` and `layer_types`, against eager attention."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli.errors import AttnError
from attn_cli.models.files.config import NotNativeError, read_config
from attn_cli.models.native.families import read_spec
from attn_cli.models.open import open_checkpoint
from attn_cli.vocabulary import Kind
from tests.models.native.test_translators import FIELDS, texts_of, theirs, weights_of
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.reference import NUMPY, Answer, inputs_of, ours, reference_of
from tests.support.twins import RECIPES, TEXTS

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

WEIGHTS = 2e-5
CAUSAL = (
    *("bert, decoder", "gpt2", "llama", "gpt_neox", "gptj", "opt", "bloom", "mistral", "mistral, no window"),
    *("qwen2", "qwen2, window", "qwen3, window", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "olmo2"),
    *("smollm3", "smollm3, window", "granite"),
)


def twin(name: str, directory: Path, **values: Any) -> Path:
    """The twin, with these values in its config; a value of `...` leaves the key out."""
    {**RECIPES, **FAMILIES, **TRANSLATORS}[name].save(directory)
    path = directory / "config.json"
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))
    return directory


def compared(directory: Path) -> tuple[Answer, float]:
    """What eager attention computes, and how far ours is from it."""
    inputs = inputs_of(directory, TEXTS[1])
    expected = reference_of(directory, inputs)
    found = ours(directory, inputs)
    pairs = zip(found.weights, expected.weights, strict=True)
    return expected, max(float(np.abs(a - b).max()) for a, b in pairs)


def looks_ahead(weights: list[Any]) -> bool:
    return max(float(np.triu(layer, 1).max()) for layer in weights) > 0.1


@pytest.mark.parametrize("value", [False, None])
@pytest.mark.parametrize("name", CAUSAL)
def test_a_decoder_that_is_not_causal_looks_to_both_sides(
    name: str, value: bool | None, tmp_path: Path
) -> None:
    expected, difference = compared(twin(name, tmp_path, is_causal=value))
    assert looks_ahead(expected.weights)
    assert difference < WEIGHTS


def test_gpt_neo_stays_causal_whatever_the_config_says(tmp_path: Path) -> None:
    expected, difference = compared(twin("gpt_neo", tmp_path, is_causal=False))
    assert not looks_ahead(expected.weights)
    assert difference < WEIGHTS


@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_an_encoder_looks_to_both_sides_anyway(name: str, tmp_path: Path) -> None:
    assert compared(twin(name, tmp_path, is_causal=True))[1] < WEIGHTS


@pytest.mark.parametrize("name", TRANSLATORS)
def test_the_decoder_of_a_translator_may_look_to_both_sides(name: str, tmp_path: Path) -> None:
    directory = twin(name, tmp_path, is_causal=False)
    source = open_checkpoint("twin", directory, NUMPY)
    texts = texts_of(source)
    for kind in FIELDS:
        expected, found = theirs(directory, texts, kind), weights_of(source, texts, kind)
        assert max(np.abs(a - b).max() for a, b in zip(expected, found, strict=True)) < WEIGHTS
        assert kind is not Kind.DECODER or looks_ahead(expected)


def test_two_windows_to_both_sides_are_left_to_transformers(tmp_path: Path) -> None:
    config = read_config(twin("gemma3_text, to both sides", tmp_path, is_causal=False))
    with pytest.raises(NotNativeError):
        read_spec(config)


def test_a_mask_that_is_neither_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AttnError, match=r'says is_causal is "no", which is not true, false or null$'):
        read_spec(read_config(twin("llama", tmp_path, is_causal="no")))


@pytest.mark.parametrize("is_switched_on", [False, True])
def test_smollm3_keeps_the_window_of_the_layers_that_are_listed(is_switched_on: bool, tmp_path: Path) -> None:
    types = ["full_attention", "sliding_attention", "full_attention"]
    values = {"layer_types": types, "use_sliding_window": is_switched_on, "sliding_window": 4}
    expected, difference = compared(twin("smollm3", tmp_path, **values))
    assert (np.tril(expected.weights[1], -4) == 0).all()
    assert difference < WEIGHTS
