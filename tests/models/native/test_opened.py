"""Every native family opened: what is read step by step is what was computed, bit for bit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.multihead import Attention
from attn_cli.models.backend import Backend
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest, Texts
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.reference import NUMPY, inputs_of, transformer
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
