"""Every native family opened: what is read step by step is what was computed, bit for bit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.layers import LayerNorm, RmsNorm
from attn_cli.core.masks import HiddenBy
from attn_cli.core.multihead import Attention, Linear
from attn_cli.core.positions import Alibi, DisentangledBias, RelativeBias
from attn_cli.models.backend import Backend
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest, Texts
from attn_cli.vocabulary import Step
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.reference import NUMPY, inputs_of, pad, transformer
from tests.support.twins import RECIPES, TEXTS

pytestmark = pytest.mark.slow  # a twin of each family

TWINS = {**RECIPES, **FAMILIES, **TRANSLATORS}


@pytest.fixture(scope="module", params=TWINS)
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("twin")
    TWINS[request.param].save(directory)
    return directory


def equal(found: Array, expected: Array) -> None:
    np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))


def attentions(directory: Path, backend: Backend = NUMPY) -> Iterator[Attention]:
    """Every layer of every kind of attention, cross-attention included."""
    source = open_source(SourceRequest(model=str(directory))).with_backend(backend)
    target = source.target_tokens(TEXTS[1]) if source.has_decoder else ()
    texts = Texts(source.tokens(TEXTS[0], None), target)
    for kind, extent in source.kinds.items():
        for attention in source.attentions(texts, kind, extent.layers):
            assert isinstance(attention, Attention)
            yield attention


def test_the_last_stages_are_the_queries_and_keys(twin: Path, backend: Backend) -> None:
    for attention in attentions(twin, backend):
        queries, keys = attention.query_stages(), attention.key_stages()
        assert queries is not None
        assert keys is not None
        equal(queries.final, attention.operands.queries)
        equal(keys.final, attention.operands.keys)


def test_the_layer_of_an_attention_computes_it_again(twin: Path) -> None:
    for attention in attentions(twin):
        assert attention.layer is attention.layer  # read from the file once
        again = attention.layer
        assert again is not None
        equal(again.attention(attention.input, attention.memory).result(), attention.result())


def test_the_input_is_the_stream_after_the_norm_of_the_layer(twin: Path) -> None:
    for attention in attentions(twin):
        assert attention.stream is not None
        norm = attention.input_norm
        equal(attention.input, attention.stream if norm is None else norm(attention.stream))


def test_the_stream_is_what_the_output_is_added_to(twin: Path) -> None:
    model = transformer(twin)
    inputs = inputs_of(twin, TEXTS[0])
    pairs = zip(model.attentions(inputs), model.hidden_states(inputs), strict=False)
    for attention, entering in pairs:
        is_input = model.spec.residual_is_normed or not model.spec.is_pre_norm
        equal(attention.stream, attention.input if is_input else entering)


def rows_in_file(directory: Path, linear: Linear, head: int, size: int) -> tuple[Array, Array | None]:
    """The weights and the biases of a head, by the names and the cut of its projection."""
    stored = safetensors.numpy.load_file(directory / "model.safetensors")
    weight, bias = stored[f"{linear.name}.weight"], stored.get(f"{linear.name}.bias")
    whole = weight.T if linear.is_transposed else weight
    if linear.cut is None:
        assert whole.shape == linear.weight.shape
        rows = range(head * size, (head + 1) * size)
    else:
        assert whole.shape[0] == linear.cut.rows
        rows = linear.cut.rows_of(head)
    return whole[list(rows)], None if bias is None else bias[list(rows)]


def test_each_head_of_a_projection_leads_back_to_its_rows_in_the_file(twin: Path) -> None:
    for attention in attentions(twin):
        layer = attention.layer
        assert layer is not None
        sides = ((layer.query, layer.heads), (layer.key, layer.kv_heads), (layer.value, layer.kv_heads))
        for linear, heads in sides:
            for head in range(heads):
                ours = slice(head * layer.head_size, (head + 1) * layer.head_size)
                weight, bias = rows_in_file(twin, linear, head, layer.head_size)
                equal(linear.weight[ours], weight)
                assert (linear.bias is None) == (bias is None)
                if linear.bias is not None:
                    equal(linear.bias[ours], bias)


def test_w_o_has_its_name_in_the_file(twin: Path) -> None:
    stored = safetensors.numpy.load_file(twin / "model.safetensors")
    for attention in attentions(twin):
        output = attention.projection
        assert output is not None
        assert output.cut is None
        weight = stored[f"{output.name}.weight"]
        equal(output.weight, weight.T if output.is_transposed else weight)


FUSED = {
    "gpt2": ("h.2.attn.c_attn", 96, range(4), range(4, 8), range(8, 12)),
    "bloom": (
        "transformer.h.2.self_attention.query_key_value",
        96,
        [0, 3, 6, 9],
        [1, 4, 7, 10],
        [2, 5, 8, 11],
    ),
    "gpt_neox": (
        "gpt_neox.layers.2.attention.query_key_value",
        96,
        [0, 3, 6, 9],
        [1, 4, 7, 10],
        [2, 5, 8, 11],
    ),
    "phi3": ("model.layers.2.self_attn.qkv_proj", 64, range(4), range(4, 6), range(6, 8)),
    "modernbert": ("layers.2.attn.Wqkv", 96, range(4), range(4, 8), range(8, 12)),
}


@pytest.mark.parametrize("name", FUSED)
def test_a_fused_matrix_is_cut_into_blocks_of_a_head_each(name: str, tmp_path: Path) -> None:
    TWINS[name].save(tmp_path)
    *_, attention = attentions(tmp_path)
    layer = attention.layer
    assert layer is not None
    parts = (layer.query, layer.key, layer.value)
    cuts = [part.cut for part in parts]
    assert {part.name for part in parts} == {FUSED[name][0]}
    assert [cut and list(cut.blocks) for cut in cuts] == [list(blocks) for blocks in FUSED[name][2:]]
    assert {cut and (cut.rows, cut.size) for cut in cuts} == {(FUSED[name][1], 8)}


SCALES = {
    "gemma2": ("query_pre_attn_scalar", 5**-0.5),
    "gemma3_text": ("query_pre_attn_scalar", 8**-0.5),
    "granite": ("attention_multiplier", 0.25),
    "gpt2": ("", 8**-0.5),
    "gpt2, unscaled": ("scale_attn_weights", 1.0),
    "gpt2, by layer": ("scale_attn_by_inverse_layer_idx", 8**-0.5 / 3),
    "deberta-v2": ("pos_att_type", (8 * 3) ** -0.5),
    "deberta-v2, plain": ("", 8**-0.5),
    "gpt_neo": ("", 1.0),
    "t5": ("", 1.0),
    "llama": ("", 8**-0.5),
}


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_that_the_config_sets_has_the_name_of_its_key(name: str, tmp_path: Path) -> None:
    TWINS[name].save(tmp_path)
    *_, attention = attentions(tmp_path)
    assert attention.layer is not None
    assert attention.scale_name == attention.layer.scale_name == SCALES[name][0]
    assert attention.scale == pytest.approx(SCALES[name][1])


def test_every_scale_other_than_the_usual_one_has_a_name(twin: Path) -> None:
    for attention in attentions(twin):
        assert attention.layer is not None
        usual = attention.scale in (1.0, attention.layer.head_size**-0.5)
        assert usual or attention.scale_name


def test_a_key_has_a_reason_exactly_if_the_mask_hides_it(twin: Path) -> None:
    for attention in attentions(twin):
        for query, key in np.ndindex(attention.mask.shape):
            hidden = attention.hidden_by(query, key)
            assert (hidden is None) == attention.mask[query, key]
            assert hidden is None or hidden.cause != "other"


REASONS = {  # in layer 0, 1, 2: the query 6 and the keys 0 and 7; windows have 4 tokens
    "gpt2": ((None, HiddenBy("causal")),) * 3,
    "bert": ((None, None),) * 3,
    "mistral": ((HiddenBy("window", 4), HiddenBy("causal")),) * 3,
    "gemma2": ((HiddenBy("window", 4), HiddenBy("causal")), (None, HiddenBy("causal"))) * 2,
    "modernbert": ((None, None), (HiddenBy("nearby", 2), None), (None, None)),
    "gemma3_text, to both sides": ((HiddenBy("nearby", 4), None), (None, None)) * 2,
}


@pytest.mark.parametrize("name", REASONS)
def test_each_layer_says_why_it_hides_a_key(name: str, tmp_path: Path) -> None:
    TWINS[name].save(tmp_path)
    found = [(one.hidden_by(6, 0), one.hidden_by(6, 7)) for one in attentions(tmp_path)]
    assert found == list(REASONS[name][: len(found)])


def test_padding_is_the_reason_beside_the_causal_mask(tmp_path: Path) -> None:
    TWINS["gpt2"].save(tmp_path)
    padded, _ = pad(inputs_of(tmp_path, TEXTS[1]), 2, "start")
    attention, *_ = transformer(tmp_path).attentions(padded)
    found = [attention.hidden_by(3, key) for key in range(5)]
    assert found == [HiddenBy("padding"), HiddenBy("padding"), None, None, HiddenBy("causal")]
    assert attention.at([5, 3]).hidden_by(1, 4) == HiddenBy("causal")


def bias_of(attention: Attention) -> Array:
    return to_numpy(attention.steps(range(attention.heads), {Step.BIAS})[Step.BIAS])


@pytest.mark.parametrize("name", ["bloom", "bloom, six heads"])
def test_the_bias_of_bloom_is_the_slope_times_the_position(name: str, tmp_path: Path) -> None:
    TWINS[name].save(tmp_path)
    for attention in attentions(tmp_path):
        assert attention.layer is not None
        bias = attention.layer.bias
        assert isinstance(bias, Alibi)
        for head, query, key in np.ndindex(bias_of(attention).shape):
            expected = np.float32(bias.slope(head)) * np.float32(key)
            assert bias_of(attention)[head, query, key] == expected


@pytest.mark.parametrize("name", ["t5", "t5, gated", "mpnet"])
def test_a_relative_bias_is_the_number_of_the_bucket(name: str, tmp_path: Path) -> None:
    TWINS[name].save(tmp_path)
    with_bias = [one for one in attentions(tmp_path) if one.operands.bias is not None]
    assert with_bias
    for attention in with_bias:
        assert attention.layer is not None
        bias, shown = attention.layer.bias, bias_of(attention)
        assert isinstance(bias, RelativeBias)
        for query, key in np.ndindex(shown.shape[1:]):
            (bucket,) = bias.buckets.of(np.asarray([[query]]), np.asarray([[key]]))[0]
            equal(shown[:, query, key], bias.table[bucket])


@pytest.mark.parametrize("name", ["deberta-v2", "deberta-v2, own projections"])
def test_the_terms_of_debertas_bias_add_up_to_it(name: str, tmp_path: Path) -> None:
    TWINS[name].save(tmp_path)
    for attention in attentions(tmp_path):
        bias = attention.operands.bias
        assert isinstance(bias, DisentangledBias)
        places = np.arange(attention.mask.shape[0])
        terms = [term for term in bias.terms(places[:, None], places[None, :]) if term is not None]
        assert len(terms) == (2 if name == "deberta-v2" else 1)
        equal(sum(terms) * bias.embeddings.scale, bias_of(attention))
        assert attention.layer is not None
        assert attention.layer.disentangled is not None
        assert attention.layer.disentangled.distances == bias.embeddings.distances


def test_the_statistics_of_the_norms_reproduce_the_input_and_the_queries(twin: Path) -> None:
    for attention in attentions(twin):
        assert attention.layer is not None
        assert attention.input is not None
        stages = attention.query_stages()
        assert stages is not None
        if attention.input_norm is not None:
            equal(by_statistics(attention.input_norm, attention.stream), attention.input)
        if attention.layer.query_norm is not None and not attention.layer.is_norm_whole:
            equal(by_statistics(attention.layer.query_norm, stages.plain), stages.normed)


def by_statistics(norm: LayerNorm | RmsNorm, x: Array) -> Array:
    found = norm.statistics(x)
    scaled = (x if found.mean is None else x - found.mean) / found.divisor * norm.gain
    return scaled if isinstance(norm, RmsNorm) or norm.shift is None else scaled + norm.shift
