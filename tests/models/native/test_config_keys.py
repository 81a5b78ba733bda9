"""Keys of a config: what transformers reads is read, and what nobody here knows goes to the bridge."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import CONFIG_MAPPING

from attn_cli.errors import AttnError
from attn_cli.models.files.config import NotNativeError, read_config
from attn_cli.models.native.config_keys import check_keys
from attn_cli.models.native.families import native_families, read_spec
from attn_cli.models.open import open_checkpoint
from attn_cli.vocabulary import Kind
from tests.models.native.test_masks_by_config import WEIGHTS, compared, twin
from tests.models.native.test_translators import FIELDS, texts_of, theirs, weights_of
from tests.support.reference import NUMPY, every_weight_of, inputs_of, reference_of
from tests.support.twins import TEXTS

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

OVERRIDES: list[tuple[str, dict[str, Any]]] = [
    ("gpt2", {"num_attention_heads": 2, "n_head": ...}),
    ("gptj", {"num_attention_heads": 8, "n_head": ...}),
    ("bloom", {"num_hidden_layers": 2, "n_layer": ...}),
    ("gpt_neo", {"attention_layers": ["local", "local", "global"]}),
    ("distilbert", {"num_attention_heads": 8, "n_heads": ...}),
    ("deberta-v2", {"max_relative_positions": 5}),  # a distance at the edge of a bucket
    *((name, {"is_decoder": True}) for name in ("bert", "roberta", "electra")),
]


@pytest.mark.parametrize(("name", "values"), OVERRIDES)
def test_a_key_means_what_it_means_in_transformers(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    expected, difference = compared(twin(name, tmp_path, **values))
    assert difference < WEIGHTS
    assert max(float(layer.max()) for layer in expected.weights) > 0.5


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("t5", {"dense_act_fn": "gelu_new"}),
        ("t5, gated", {"dense_act_fn": "relu"}),
        ("t5", {"num_attention_heads": 4, "num_heads": ..., "head_dim": 12, "d_kv": ...}),
        ("bart", {"num_attention_heads": 4, "num_hidden_layers": 3}),
    ],
)
def test_a_key_of_a_translator_means_what_it_means_in_transformers(
    name: str, values: dict[str, Any], tmp_path: Path
) -> None:
    directory = twin(name, tmp_path, **values)
    source = open_checkpoint("twin", directory, NUMPY)
    assert source.engine == "native"
    texts = texts_of(source)
    for kind in FIELDS:
        expected, found = theirs(directory, texts, kind), weights_of(source, texts, kind)
        assert max(np.abs(a - b).max() for a, b in zip(expected, found, strict=True)) < WEIGHTS


def test_an_activation_may_lose_its_gate(tmp_path: Path) -> None:
    spec = read_spec(read_config(twin("t5", tmp_path, is_gated_act=True)))
    assert spec.feed_forward.gate is not None
    assert spec.feed_forward.up.name.endswith("wi_1")


BRIDGED: list[tuple[str, dict[str, Any], str]] = [
    ("gpt_neox", {"head_dim": 16}, "says head_dim is 16, which is not 8"),
    ("deberta-v2", {"attention_head_size": 4}, "says attention_head_size is 4, which is not 8"),
    ("modernbert", {"sliding_window": 3}, "says sliding_window is 3, which is not null"),
    (
        "mistral",
        {"layer_types": ["full_attention"] * 3},
        'says layer_types is ["full_attention", "full_attention", "f…, which is not null',
    ),
    (
        "llama",
        {"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e4}},
        "has rope_parameters.rope_type 'proportional', which attn does not know",
    ),
    (
        "llama",
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0, "llama_4_scaling_beta": 0.1}},
        "has rope_scaling.llama_4_scaling_beta, which attn does not know",
    ),
    (
        "gemma3_text",
        {"rope_parameters": {"full_attention": {"rope_type": "default", "warp": 2}}},
        "has rope_parameters.full_attention.warp, which attn does not know",
    ),
    (
        "gemma3_text",
        {"rope_scaling": {"rope_type": "linear", "factor": 3.0}},
        (
            'says rope_scaling is {"rope_type": "linear", "factor": 3.0}, which is not an object '
            "with a rope_type, without rope_parameters"
        ),
    ),
    ("gpt2", {"num_attention_heads": 2}, "says num_attention_heads is 2, which is not n_head 4"),
    ("gptj", {"num_hidden_layers": 2}, "says num_hidden_layers is 2, which is not n_layer 3"),
    ("bloom", {"num_attention_heads": 2}, "says num_attention_heads is 2, which is not n_head 4"),
    ("gpt_neo", {"num_hidden_layers": 2}, "says num_hidden_layers is 2, which is not num_layers 3"),
    ("distilbert", {"hidden_size": 64}, "says hidden_size is 64, which is not dim 32"),
    ("t5", {"head_dim": 24}, "says head_dim is 24, which is not d_kv 12"),
    ("bart", {"num_hidden_layers": 2}, "says num_hidden_layers is 2, which is not encoder_layers 3"),
    (
        "marian",
        {"num_attention_heads": 8},
        "says num_attention_heads is 8, which is not encoder_attention_heads 4",
    ),
    *(
        (name, {"is_decoder": True}, "says is_decoder is true, which is not false")
        for name in ("albert", "mpnet", "deberta-v2", "distilbert", "modernbert")
    ),
    ("llama", {"attention_window": 4}, "has attention_window, which attn does not know"),
    ("bert", {"use_alibi": True}, "has use_alibi, which attn does not know"),
    ("gpt2", {"attn_temperature": 0.5}, "has attn_temperature, which attn does not know"),
]


@pytest.mark.parametrize(("name", "values", "problem"), BRIDGED)
def test_a_key_that_could_change_the_attention_goes_to_the_bridge(
    name: str, values: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    config = read_config(twin(name, tmp_path, **values))
    with pytest.raises(NotNativeError) as caught:
        read_spec(config)
    assert caught.value.problem == f"{config.path} {problem}"


@pytest.mark.parametrize(
    ("name", "values", "problem"), [BRIDGED[0], BRIDGED[2], BRIDGED[3], BRIDGED[8], BRIDGED[16]]
)
def test_the_bridge_shows_what_transformers_computes_and_says_why(
    name: str, values: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    directory = twin(name, tmp_path, **values)
    source = open_checkpoint("twin", directory, NUMPY)
    assert source.remarks == (f"transformers computes this model: {directory}/config.json {problem}",)
    expected = reference_of(directory, inputs_of(directory, TEXTS[1])).weights
    for ours, weights in zip(every_weight_of(source, TEXTS[1]), expected, strict=True):
        np.testing.assert_allclose(ours, weights, atol=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        {"attention_window": None, "rope_scaling": None},
        {"rope_interleaved": False, "use_mrope": False, "_attn_implementation_autoset": True},
        {"attention_probs_dropout_prob": 0.1, "pooler_num_attention_heads": 12, "use_flash_attn": True},
        {"initializer_scale": 2, "sep_token_id": 3, "kv_cache_bits": 8, "unsloth_fixed": True},
    ],
)
def test_a_key_without_effect_keeps_the_model_native(values: dict[str, Any], tmp_path: Path) -> None:
    assert open_checkpoint("twin", twin("llama", tmp_path, **values), NUMPY).engine == "native"


@pytest.mark.parametrize("family", native_families())
def test_every_key_of_transformers_own_configs_is_known(family: str, tmp_path: Path) -> None:
    name = family if family in CONFIG_MAPPING else family.replace("_", "-")
    CONFIG_MAPPING[name]().save_pretrained(tmp_path)
    config = read_config(tmp_path)
    everything = CONFIG_MAPPING[name]().to_dict() | dict.fromkeys(CONFIG_MAPPING[name].attribute_map, 1)
    check_keys(type(config)(everything, config.path))


def test_the_kinds_of_a_translator_are_all_compared() -> None:
    assert set(FIELDS) == {Kind.ENCODER, Kind.DECODER, Kind.CROSS}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"relative_attention_max_distance": 4},
            "relative_attention_max_distance is 4, which is not more than 4",
        ),
        (
            {"relative_attention_max_distance": 2},
            "relative_attention_max_distance is 2, which is not more than 2",
        ),
        (
            {"relative_attention_num_buckets": 3},
            "relative_attention_num_buckets is 3, which is not 4 or more",
        ),
    ],
)
def test_buckets_that_transformers_cannot_compute_are_refused(
    values: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(AttnError, match=problem):
        read_spec(read_config(twin("t5", tmp_path, **values)))
