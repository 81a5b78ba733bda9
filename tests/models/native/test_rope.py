"""Rotary frequencies, compared with the embedding modules of transformers after a forward pass."""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import LlamaConfig, PhiConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.phi.modeling_phi import PhiRotaryEmbedding

from attn_cli.errors import AttnError
from attn_cli.models.native.rope import read_rotary

HEAD_SIZE, KNOWN, ORIGINAL = 16, 512, 64
SHAPE: dict[str, Any] = {"hidden_size": 32, "num_attention_heads": 2, "max_position_embeddings": KNOWN}
LENGTHS = (1, ORIGINAL, ORIGINAL + 1, KNOWN, KNOWN + 1, 3000)

# NumPy and PyTorch each round `pow` and what follows: 2 float32 apart at most were seen.
ULPS = 4

SHORT = [1.0 + 0.1 * pair for pair in range(HEAD_SIZE // 2)]
LONG = [2.0 + 1.5 * pair for pair in range(HEAD_SIZE // 2)]
STRETCHED = {"original_max_position_embeddings": ORIGINAL}
LONGROPE = {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG} | STRETCHED
YARN = {"rope_type": "yarn", "factor": 8.0} | STRETCHED
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0} | STRETCHED
ASKED: dict[str, dict[str, Any]] = {
    "default": {"rope_type": "default"},
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 3.0},
    "yarn": YARN,
    "yarn, ratio": YARN | {"factor": None},
    "yarn, betas": YARN | {"beta_fast": 16, "beta_slow": 2, "truncate": False},
    "yarn, null betas": YARN | {"beta_fast": None, "beta_slow": None},
    "yarn, no ramp": YARN | {"beta_fast": 3, "beta_slow": 3, "truncate": False},
    "yarn, long ramp": YARN | {"rope_theta": 2.5},
    "yarn, gain": YARN | {"attention_factor": 1.25},
    "yarn, mscale": YARN | {"mscale": 0.707, "mscale_all_dim": 1.0},
    "yarn, half an mscale": YARN | {"mscale": 0.707, "mscale_all_dim": 0},
    "yarn, shrunk": YARN | {"factor": 0.5},
    "longrope": LONGROPE,
    "longrope, factor": LONGROPE | {"factor": 8.0},
    "longrope, no stretch": LONGROPE | {"factor": 1.0},
    "longrope, gain": LONGROPE | {"attention_factor": 1.5},
    "llama3": LLAMA3,
    "llama3, wide": LLAMA3 | {"low_freq_factor": 0.25, "high_freq_factor": 64.0},
}


def twin(config: dict[str, Any], length: int) -> tuple[npt.NDArray[np.float32], float]:
    """The frequencies and the gain of Hugging Face's Llama once it has read `length` tokens."""
    embedding = LlamaRotaryEmbedding(LlamaConfig(**copy.deepcopy(config)))
    embedding(torch.zeros(1), torch.arange(length)[None])
    return embedding.inv_freq.numpy(), float(embedding.attention_scaling)


def older(asked: dict[str, Any], theta: float) -> dict[str, Any]:
    """The same parameters as transformers 4 wrote them."""
    rest = {key: value for key, value in asked.items() if key != "rope_type"}
    return SHAPE | {"rope_theta": theta, "rope_scaling": {"type": asked["rope_type"], **rest}}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_every_variant_rotates_as_in_transformers(asked: dict[str, Any], length: int) -> None:
    config = SHAPE | {"rope_parameters": {"rope_theta": 500000.0, **asked}}
    found, (frequencies, gain) = read_rotary(config, HEAD_SIZE, length), twin(config, length)
    assert found.frequencies.dtype == np.float32
    np.testing.assert_array_max_ulp(found.frequencies, frequencies, maxulp=ULPS)
    assert found.gain == pytest.approx(gain, rel=1e-15)  # both are Python's float64


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED.keys())
def test_the_older_layout_says_the_same(asked: dict[str, Any]) -> None:
    newer = SHAPE | {"rope_parameters": {"rope_theta": 12345.0, **asked}}
    found, same = (read_rotary(config, HEAD_SIZE, 600) for config in (older(asked, 12345.0), newer))
    np.testing.assert_array_equal(found.frequencies, same.frequencies)
    np.testing.assert_array_max_ulp(found.frequencies, twin(older(asked, 12345.0), 600)[0], maxulp=ULPS)
    assert found.gain == same.gain


@pytest.mark.parametrize("head_size", [8, 64, 80, 96, 128, 256])
@pytest.mark.parametrize("name", ["linear", "dynamic", "yarn", "llama3"])
def test_every_head_size_rotates_as_in_transformers(name: str, head_size: int) -> None:
    config = SHAPE | {"head_dim": head_size, "rope_parameters": {"rope_theta": 1e6, **ASKED[name]}}
    theirs, _ = ROPE_INIT_FUNCTIONS[name](LlamaConfig(**copy.deepcopy(config)), seq_len=2000)
    found = read_rotary(config, head_size, 2000).frequencies
    np.testing.assert_array_max_ulp(found, theirs.numpy(), maxulp=ULPS)


def test_the_default_base_is_ten_thousand() -> None:
    found = read_rotary({}, 4, 10)
    np.testing.assert_allclose(found.frequencies, [1, 0.01], rtol=1e-7)  # 10000^(-0/4), 10000^(-2/4)
    assert found.gain == 1
    assert not found.interleaved
    assert read_rotary({}, 4, 10, interleaved=True).interleaved


@pytest.mark.parametrize("name", ["rope_scaling", "rope_parameters"])
def test_null_counts_as_absent(name: str) -> None:
    found = read_rotary({"rope_theta": 100, name: None, "partial_rotary_factor": None}, 4, 10)
    np.testing.assert_allclose(found.frequencies, [1, 0.1], rtol=1e-7)  # one rounding of float32


def test_the_base_in_the_parameters_takes_precedence() -> None:
    found = read_rotary({"rope_theta": 100, "rope_parameters": {"rope_theta": 10000}}, 4, 10)
    np.testing.assert_allclose(found.frequencies, [1, 0.01], rtol=1e-7)  # one rounding of float32


@pytest.mark.parametrize("place", ["top", "parameters"])
def test_a_partial_factor_rotates_only_the_first_features(place: str) -> None:
    partial = {"partial_rotary_factor": 0.5}
    own = {"rope_theta": 10000.0} | (partial if place == "parameters" else {})
    config = SHAPE | {"rope_parameters": own} | (partial if place == "top" else {})
    theirs = PhiRotaryEmbedding(PhiConfig(**copy.deepcopy(config))).inv_freq.numpy()
    assert theirs.shape == (HEAD_SIZE // 4,)
    np.testing.assert_array_max_ulp(read_rotary(config, HEAD_SIZE, 10).frequencies, theirs, maxulp=ULPS)


def test_llama_ignores_a_partial_factor() -> None:
    config = SHAPE | {
        "rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5, "rope_type": "default"}
    }
    frequencies, _ = twin(config, 10)
    found = read_rotary(config, HEAD_SIZE, 10, is_whole=True).frequencies
    np.testing.assert_array_max_ulp(found, frequencies, maxulp=ULPS)


def test_llama_refuses_a_partial_factor_with_scaled_frequencies() -> None:
    own = {"rope_type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5}
    with pytest.raises(AttnError) as caught:
        read_rotary({"rope_parameters": own}, HEAD_SIZE, 10, is_whole=True)
    problem = "rotary embedding linear with partial_rotary_factor: this family rotates whole heads"
    assert caught.value.problem == problem


@pytest.mark.parametrize("length", [ORIGINAL, ORIGINAL + 1])
@pytest.mark.parametrize("name", ["yarn", "longrope", "llama3"])
def test_the_original_length_at_the_top_takes_precedence(name: str, length: int) -> None:
    config = SHAPE | STRETCHED | {"rope_parameters": ASKED[name] | {"rope_theta": 1e4}}
    config["rope_parameters"]["original_max_position_embeddings"] = 99
    frequencies, gain = twin(config, length)
    found = read_rotary(config, HEAD_SIZE, length)
    np.testing.assert_array_max_ulp(found.frequencies, frequencies, maxulp=ULPS)
    assert found.gain == pytest.approx(gain, rel=1e-15)  # both are Python's float64


@pytest.mark.parametrize("name", ["yarn", "longrope", "llama3"])
def test_the_default_original_length_is_the_maximum(name: str) -> None:
    asked = {key: value for key, value in ASKED[name].items() if key not in STRETCHED}
    config = SHAPE | {"rope_parameters": {"rope_theta": 1e4, **asked}}
    found, (frequencies, gain) = read_rotary(config, HEAD_SIZE, KNOWN + 1), twin(config, KNOWN + 1)
    np.testing.assert_array_max_ulp(found.frequencies, frequencies, maxulp=ULPS)
    assert found.gain == pytest.approx(gain, rel=1e-15)  # both are Python's float64


def test_phi_3_calls_longrope_su() -> None:
    found, same = (
        read_rotary(older(LONGROPE | {"rope_type": name}, 1e4), HEAD_SIZE, 100) for name in ("su", "longrope")
    )
    np.testing.assert_array_equal(found.frequencies, same.frequencies)
    assert found.gain == same.gain


def test_dynamic_rope_does_not_scale_short_texts() -> None:
    config = SHAPE | {"rope_parameters": ASKED["dynamic"]}
    plain = read_rotary(SHAPE, HEAD_SIZE, KNOWN).frequencies
    np.testing.assert_array_equal(read_rotary(config, HEAD_SIZE, KNOWN).frequencies, plain)
    assert (read_rotary(config, HEAD_SIZE, KNOWN + 1).frequencies[1:] < plain[1:]).all()


HINT = "check rope_parameters, or rope_scaling, in the config"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (
            {"rope_type": "linear"},
            "the rotary embedding needs factor, a positive number: the config has none",
        ),
        (
            {"rope_type": "dynamic", "factor": "8"},
            "the rotary embedding needs factor, a positive number: the config has '8'",
        ),
        (
            {"rope_type": "linear", "factor": 0},
            "the rotary embedding needs factor, a positive number: the config has 0",
        ),
        (
            {"rope_type": "linear", "factor": True},
            "the rotary embedding needs factor, a positive number: the config has True",
        ),
        (
            {"rope_theta": float("inf")},
            "the rotary embedding needs rope_theta, a positive number: the config has inf",
        ),
        (
            {"partial_rotary_factor": [0.5]},
            "the rotary embedding needs partial_rotary_factor, a positive number: the config has [0.5]",
        ),
        (
            LLAMA3 | {"low_freq_factor": None},
            "the rotary embedding needs low_freq_factor, a positive number: the config has none",
        ),
        (
            LONGROPE | {"short_factor": [1.0]},
            "the rotary embedding needs short_factor, 8 positive numbers: the config has [1.0]",
        ),
        (
            LONGROPE | {"short_factor": None},
            "the rotary embedding needs short_factor, 8 positive numbers: the config has none",
        ),
        (
            LONGROPE | {"short_factor": ["a"] * 8},
            (
                "the rotary embedding needs short_factor, 8 positive numbers: "
                "the config has ['a', 'a', 'a', 'a', 'a', 'a', ...]"
            ),
        ),
        (
            YARN | {"rope_theta": 1},
            "the rotary embedding yarn cannot be computed: it divides by zero or overflows",
        ),
        (
            LLAMA3 | {"high_freq_factor": 1.0},
            "the rotary embedding llama3 cannot be computed: it divides by zero or overflows",
        ),
        (
            {"rope_theta": 10**400},
            "the rotary embedding default cannot be computed: it divides by zero or overflows",
        ),
        ([1], "the rotary parameters are not an object: [1]"),
    ],
)
def test_a_number_that_cannot_be_used_is_named(asked: Any, problem: str) -> None:
    with pytest.raises(AttnError) as caught:
        read_rotary(SHAPE | {"rope_parameters": asked}, HEAD_SIZE, 10)
    assert (caught.value.problem, caught.value.hint) == (problem, HINT)


def test_a_model_without_a_maximum_length_cannot_scale_it() -> None:
    with pytest.raises(AttnError) as caught:
        read_rotary({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, HEAD_SIZE, 10)
    assert caught.value.problem == (
        "the rotary embedding needs max_position_embeddings, a positive number: the config has none"
    )


@pytest.mark.parametrize("name", ["spiral", ["linear"], 3])
def test_an_unknown_type_is_named_beside_those_that_are_known(name: Any) -> None:
    with pytest.raises(AttnError) as caught:
        read_rotary({"rope_parameters": {"rope_type": name}}, HEAD_SIZE, 10)
    assert caught.value.problem == f"the config has an unknown rotary embedding: {name!r}"
    known = "default, linear, dynamic, yarn, longrope, su, llama3"
    assert caught.value.hint == f"use a model with one of {known}"


def test_parameters_by_kind_of_layer_are_not_taken_for_the_default() -> None:
    nested = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    with pytest.raises(AttnError) as caught:
        read_rotary({"rope_parameters": nested}, HEAD_SIZE, 10)
    assert caught.value.problem == (
        "the rotary embedding differs between layer types: full_attention, sliding_attention"
    )
    assert caught.value.hint == "pass the parameters of one type as rope_parameters"


def test_no_more_features_than_the_head_has_can_rotate() -> None:
    with pytest.raises(AttnError) as caught:
        read_rotary({}, 5, 10)
    assert caught.value.problem == "6 features cannot be rotated in a head of 5"
    assert caught.value.hint == "check head_dim and partial_rotary_factor in the config"
