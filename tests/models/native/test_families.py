"""Every native family, compared with Hugging Face's eager attention on the same file."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import trace
from attn_cli.core.masks import everywhere
from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend
from attn_cli.models.files.config import read_config
from attn_cli.models.files.weights import open_weights
from attn_cli.models.native.families import native_families, read_spec
from attn_cli.models.native.spec import Projections, Spec
from attn_cli.models.native.transformer import Inputs, Transformer
from attn_cli.models.open import open_checkpoint
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.reference import NUMPY, inputs_of, largest_differences, ours, pad, reference_of
from tests.support.twins import RECIPES, TEXTS, Recipe

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

WEIGHTS, HIDDEN = 2e-5, 1e-4


@pytest.fixture(scope="module", params=FAMILIES)
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(request.param, tmp_path_factory.mktemp("family"))


def saved(name: str, directory: Path) -> Path:
    FAMILIES[name].save(directory)
    return directory


def test_every_family_has_a_twin() -> None:
    twins = (*RECIPES.values(), *FAMILIES.values(), *TRANSLATORS.values())
    types = {recipe.config.model_type.replace("-", "_") for recipe in twins}
    assert types == set(native_families())


def test_every_layer_and_head_agrees_with_eager(twin: Path, backend: Backend) -> None:
    peaks: list[float] = []
    for text in TEXTS:
        inputs = inputs_of(twin, text)
        expected = reference_of(twin, inputs)
        found = ours(twin, inputs, backend)
        if found.hidden[-1].shape != expected.hidden[-1].shape:  # OPT narrows what leaves the last layer
            found, expected = (replace(each, hidden=each.hidden[:-1]) for each in (found, expected))
        weights, hidden = largest_differences(found, expected)
        assert weights < WEIGHTS
        assert hidden < HIDDEN
        peaks += [float(layer.max(axis=-1).mean()) for layer in expected.weights]
    assert np.mean(peaks) > 0.5  # flat rows would pass with broken maths


@pytest.mark.parametrize("where", ["start", "end"])
def test_padding_is_not_seen(twin: Path, where: str) -> None:
    plain = inputs_of(twin, TEXTS[1])
    padded, rows = pad(plain, 5, where)
    expected = reference_of(twin, padded)
    for ours_, theirs_ in zip(ours(twin, padded).weights, expected.weights, strict=True):
        seen = np.asarray(padded.real)
        assert (ours_[:, rows][..., ~seen] == 0).all()
        np.testing.assert_allclose(ours_[:, rows], theirs_[:, rows], atol=WEIGHTS)


# What a family has and another lacks, taken away: the twin must notice, or the test above proves nothing.
WITHOUT: dict[str, tuple[tuple[str, ...], Callable[[Spec], Spec]]] = {
    "RoPE": (
        (
            *("gpt_neox", "gptj", "mistral", "qwen3", "gemma2", "gemma3_text", "phi", "phi3", "olmo2"),
            *("smollm3", "granite", "modernbert"),
        ),
        lambda spec: replace(spec, rotary=lambda _layer, _length: None),
    ),
    "the bias of Q, K and V": (
        ("qwen2", "qwen3, window", "phi", "opt", "roberta", "distilbert"),
        lambda spec: replace(spec, projections=unbiased(spec.projections)),
    ),
    "the causal mask": (
        ("gpt_neo", "gpt_neox", "gptj", "opt", "bloom", "mistral", "gemma", "olmo2"),
        lambda spec: replace(spec, is_causal=False),
    ),
    "QK-norm": (
        ("qwen3", "gemma3_text", "olmo2", "phi, normed heads"),
        lambda spec: replace(spec, projections=replace(spec.projections, query_norm=None)),
    ),
    "the window": (
        (
            *("gpt_neo", "mistral", "qwen2, window", "gemma2", "gemma3_text", "gemma3_text, to both sides"),
            *("modernbert", "phi3", "smollm3, window"),
        ),
        lambda spec: replace(spec, window=lambda _layer: everywhere),
    ),
    "the position bias": (
        ("bloom", "mpnet", "deberta-v2", "deberta-v2, own projections"),
        lambda spec: replace(spec, is_alibi=False, relative=None, content_bias=None),
    ),
    "the soft cap": (("gemma2",), lambda spec: replace(spec, softcap=None)),
    "the scale": (
        ("gpt_neo", "gemma2", "granite"),
        lambda spec: replace(spec, scale=lambda _layer: None),
    ),
    "the offset of gains": (("gemma", "gemma2", "gemma3_text"), lambda spec: replace(spec, gain_offset=0.0)),
    "the norm of results": (
        ("gemma2", "olmo2"),
        lambda spec: replace(spec, attention_result_norm=None, feed_forward_result_norm=None),
    ),
    "the scale of embeddings": (
        ("gemma", "granite"),
        lambda spec: replace(spec, embeddings=replace(spec.embeddings, scale=1.0)),
    ),
    "the scale of residuals": (("granite",), lambda spec: replace(spec, residual_scale=1.0)),
    "the first position": (
        ("roberta", "mpnet", "opt"),
        lambda spec: replace(
            spec,
            longest=(spec.longest or 0) + spec.embeddings.first,
            embeddings=replace(spec.embeddings, first=0),
        ),
    ),
    "padding's place": (
        ("roberta", "mpnet"),
        lambda spec: replace(spec, embeddings=replace(spec.embeddings, padding=None)),
    ),
    "parallel parts": (("gpt_neox", "gptj", "phi"), lambda spec: replace(spec, is_parallel=False)),
}


def unbiased(parts: Projections) -> Projections:
    assert parts.query is not None
    return replace(parts, query=replace(parts.query, has_bias=False))


@pytest.mark.parametrize(
    ("what", "name"), [(what, name) for what, (names, _) in WITHOUT.items() for name in names]
)
def test_every_part_affects_the_result(what: str, name: str, tmp_path: Path) -> None:
    directory = saved(name, tmp_path)
    spec = WITHOUT[what][1](read_spec(read_config(directory)))
    crippled = Transformer(spec, open_weights(directory, spec.prefixes, spec.aliases), NUMPY)
    furthest = 0.0
    for text in TEXTS:
        inputs = inputs_of(directory, text)
        for found, expected in zip(
            weights_of(crippled, inputs), reference_of(directory, inputs).weights, strict=True
        ):
            furthest = max(furthest, float(np.abs(found - expected).max()))
    assert furthest > 0.05  # 2,500 times what rounding may do


def weights_of(model: Transformer, inputs: Inputs) -> list[Any]:
    return [to_numpy(trace(layer.operands).weights) for layer in model.attentions(inputs)]


# Configs of released checkpoints leave out what transformers assumes.
@pytest.mark.parametrize(
    ("kind", "theirs"),
    [
        ("mistral", transformers.MistralConfig),
        ("qwen2", transformers.Qwen2Config),
        ("qwen3", transformers.Qwen3Config),
        ("gemma", transformers.GemmaConfig),
        ("gemma2", transformers.Gemma2Config),
        ("gemma3_text", transformers.Gemma3TextConfig),
        ("smollm3", transformers.SmolLM3Config),
        ("phi3", transformers.Phi3Config),
        ("granite", transformers.GraniteConfig),
        ("olmo2", transformers.Olmo2Config),
    ],
)
def test_what_a_config_leaves_out_is_what_transformers_assumes(
    kind: str, theirs: Any, tmp_path: Path
) -> None:
    least = {
        "model_type": kind,
        "vocab_size": 300,
        "hidden_size": 2304,
        "num_hidden_layers": 12,
        "num_attention_heads": 32,
        "intermediate_size": 48,
    }
    (tmp_path / "config.json").write_text(json.dumps(least))
    spec, config = read_spec(read_config(tmp_path)), theirs(**least)
    assert spec.kv_heads == config.num_key_value_heads
    assert spec.head_size == (getattr(config, "head_dim", None) or 72)
    assert spec.epsilon == config.rms_norm_eps
    assert spec.longest == config.max_position_embeddings
    places = np.arange(9000)
    for layer in range(12):
        slides = getattr(config, "layer_types", ["sliding_attention"] * 12)[layer] == "sliding_attention"
        window = getattr(config, "sliding_window", None) if slides else None
        seen = spec.mask(layer)(places[-1:, None], places[None, :]).sum()
        assert seen == min(9000, window or 9000)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("gemma2", {"query_pre_attn_scalar": 0}),
        ("gemma3_text", {"rope_scaling": [1, 2]}),
        ("modernbert", {"rope_scaling": "xyz"}),
        ("gpt_neo", {"attention_types": [[["global"], 10**10]], "attention_layers": None}),
        ("gpt_neo", {"attention_layers": ["global", "everywhere", "local"]}),
        ("gptj", {"rotary_dim": 1000}),
    ],
)
def test_a_config_that_makes_no_sense_is_an_error(kind: str, change: dict[str, Any], tmp_path: Path) -> None:
    directory = saved(kind, tmp_path)
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change | {"rope_parameters": None}))
    with pytest.raises(AttnError):
        list(ours(directory, inputs_of(directory, TEXTS[0])).weights)


def test_an_unsupported_variant_uses_the_bridge(tmp_path: Path) -> None:
    size = {"vocab_size": 80, "hidden_size": 32, "intermediate_size": 48, "conv_kernel_size": 3}
    config: Any = transformers.DebertaV2Config
    config = config(**size, num_hidden_layers=2, num_attention_heads=4)
    Recipe("DebertaV2Model", config, 2.8).save(tmp_path)
    assert open_checkpoint("twin", tmp_path, NUMPY).engine == "transformers"


def test_modernbert_uses_the_global_base_if_the_local_one_is_null(tmp_path: Path) -> None:
    directory = saved("modernbert", tmp_path)
    file = directory / "config.json"
    values = json.loads(file.read_text()) | {"rope_parameters": None, "global_rope_theta": 50.0}
    found = []
    for theta in (None, 50.0, 10000.0):
        file.write_text(json.dumps(values | {"local_rope_theta": theta}))
        found.append(ours(directory, inputs_of(directory, TEXTS[0])).weights[1])  # layer 1 is local
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.01
