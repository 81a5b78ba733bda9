"""What N² costs: counted by hand, for every kind of layer."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from attn_cli.answers.lessons.length import LayerSize, LengthStudy, TextLength
from attn_cli.answers.lessons.windows import Origin, pairs_in
from attn_cli.core.arrays import Array
from attn_cli.core.masks import Band
from attn_cli.core.multihead import Attention
from attn_cli.models.backend import choose_backend
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.open import open_source
from attn_cli.models.source import SourceRequest
from attn_cli.reading.lessons.length import lengths_beside, measure, study
from attn_cli.reading.lessons.masking import is_causal
from attn_cli.reading.reading import TextRequest, read
from attn_cli.vocabulary import DType, Kind
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.lesson_pages import asked
from tests.support.readings import reading_of

TEXT = "the cat sat on the mat, and the mat sat on the cat"


def of(model: Path | None, layer: int = 0, text: str = TEXT) -> LengthStudy:
    return study(asked(reading_of(text, None if model is None else str(model)), layer, 0))


def test_operations_are_counted_pair_by_pair(twins: Path) -> None:
    gpt2 = of(twins / "gpt2")  # 3 layers, 4 heads of 8
    tokens = gpt2.text.keys
    assert gpt2.operations(gpt2.text.pairs) == 3 * 4 * tokens**2 * (2 * 8 + 5 + 2 * 8)
    assert gpt2.bytes_of_matrix(gpt2.text) == 4 * 4 * tokens**2


def test_projections_and_feed_forward_take_two_operations_per_weight(twins: Path) -> None:
    gpt2 = of(twins / "gpt2")
    tokens = gpt2.text.keys
    assert gpt2.projections(gpt2.text) == 3 * tokens * 2 * 4 * 32 * 32
    assert gpt2.feed_forward(gpt2.text) == 3 * tokens * 2 * 2 * 32 * 128


def test_grouped_keys_take_fewer_weights_and_a_smaller_cache(twins: Path) -> None:
    llama = of(twins / "llama")  # 4 heads of 8, 2 key heads, a gate
    tokens = llama.text.keys
    assert llama.projections(llama.text) == 3 * tokens * 2 * (2 * 32 * 32 + 2 * 32 * 16)
    assert llama.feed_forward(llama.text) == 3 * tokens * 2 * 3 * 32 * 48
    assert llama.bytes_of_cache(llama.text) == 4 * 3 * 2 * tokens * 2 * 8


def test_where_the_costs_cross_they_are_equal(twins: Path) -> None:
    llama = of(twins / "llama")
    assert llama.crossing is not None
    per_token = llama.layer.layers * llama.layer.per_pair * llama.crossing
    one = TextLength(1, 1)
    assert per_token == pytest.approx(llama.projections(one) + llama.feed_forward(one))


@pytest.mark.parametrize("band", [Band(), Band(after=0), Band(before=3, after=0), Band(2, 2), Band(0, 0)])
@pytest.mark.parametrize("tokens", [1, 2, 4, 9])
def test_pairs_in_a_band_are_those_of_its_mask(band: Band, tokens: int) -> None:
    places = np.arange(tokens)
    assert pairs_in(band, tokens) == band(places[:, None], places[None, :]).sum()


def test_the_window_is_the_layers_own(tmp_path: Path) -> None:
    FAMILIES["mistral"].save(tmp_path)
    window = of(tmp_path).window
    assert window is not None
    assert (window.origin, window.tokens, window.reach) == (Origin.LAYER, 4, 3)


def test_a_layer_without_a_window_is_compared_with_that_of_other_layers(tmp_path: Path) -> None:
    FAMILIES["gemma2"].save(tmp_path)
    layers = [of(tmp_path, layer).window for layer in range(2)]
    assert {None if one is None else one.origin for one in layers} == {Origin.LAYER, Origin.MODEL}
    assert len({None if one is None else one.tokens for one in layers}) == 1


def test_over_the_bridge_only_the_window_of_the_configuration_is_known(tmp_path: Path) -> None:
    FAMILIES["gemma2"].save(tmp_path)
    reading = reading_of(TEXT, str(tmp_path))
    assert isinstance(reading.source, Checkpoint)
    bridged = replace(reading, source=replace(reading.source, engine="transformers"))
    found = [study(asked(bridged, layer, 0)) for layer in range(2)]
    origins = {one.window.origin for one in found if one.window is not None}
    assert origins == {Origin.LAYER, Origin.CONFIGURATION}
    assert [one.products for one in found] == [None, None]
    assert all(one.is_causal for one in found)


def _looked_up(matrix: Array, queries: Array, keys: Array) -> Array:
    return matrix[queries, keys]


def test_a_mask_that_is_a_matrix_tells_by_its_first_row(twins: Path) -> None:
    for name, causal in (("gpt2", True), ("bert", False)):
        reading = reading_of(TEXT, str(twins / name))
        assert isinstance(reading.source, Checkpoint)
        bridged = replace(reading, source=replace(reading.source, engine="transformers"))
        (layer,) = reading.source.attentions(reading.texts, reading.kind, [0])
        assert isinstance(layer, Attention)
        operands = replace(layer.operands, mask=partial(_looked_up, layer.mask))
        assert is_causal(bridged, replace(layer, operands=operands)) == causal


def test_an_encoder_looks_to_both_sides_of_its_window(tmp_path: Path) -> None:
    FAMILIES["modernbert"].save(tmp_path)
    windows = [of(tmp_path, layer).window for layer in range(3)]
    own = next(one for one in windows if one is not None and one.origin is Origin.LAYER)
    assert own.tokens == 2 * own.reach + 1


def test_a_model_without_a_window_is_compared_with_an_example(twins: Path) -> None:
    window = of(twins / "gpt2").window
    assert window is not None
    assert (window.origin, window.tokens) == (Origin.EXAMPLE, 4_096)


def test_causal_layers_are_told_from_encoders(twins: Path) -> None:
    assert of(twins / "gpt2").is_causal
    assert not of(twins / "bert").is_causal


def test_cross_attention_has_queries_and_keys_of_two_texts_and_no_window(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path)
    source = open_source(SourceRequest(str(tmp_path)), {})
    reading = read(source, TextRequest(TEXT, target="the mat", kind=Kind.CROSS))
    cross = study(asked(reading, 0, 0))
    queries, keys = len(reading.queries), len(reading.keys)
    assert (cross.text.queries, cross.text.keys, cross.window) == (queries, keys, None)
    weights = queries * 2 * 32 * 48 + keys * 2 * 32 * 48  # W^Q and W^O, W^K and W^V
    assert cross.projections(cross.text) == 2 * 2 * weights


def test_the_random_layer_has_no_feed_forward_block() -> None:
    one = study(asked(reading_of("a b c", "random"), 0, 0))
    assert one.products is not None
    assert one.products.feed_forward == 0


def test_rows_of_two_texts_are_sorted_by_the_longer_one() -> None:
    ordered = lengths_beside(TextLength(5_000, 2))
    assert [max(one.queries, one.keys) for one in ordered] == [1_024, 5_000, 32_768, 1_000_000]


def test_lengths_are_in_order_and_each_is_listed_once() -> None:
    long = study(asked(reading_of("a " * 2_000, "random"), 0, 0))
    assert [length.keys for length in long.lengths] == [1_024, 2_000, 32_768, 1_000_000]
    same = study(asked(reading_of("a " * 1_024, "random"), 0, 0))
    assert [length.keys for length in same.lengths] == [1_024, 32_768, 1_000_000]


class Stopwatch:
    """A clock on which every run takes the same time."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds / 2

    def __call__(self) -> float:
        self.now += self.seconds
        return self.now


SIZE = LayerSize(1, 2, 1, 4, 4)
NUMPY = choose_backend("cpu", DType.FLOAT32)


def test_a_slow_machine_measures_one_short_text() -> None:
    slow = measure(SIZE, NUMPY, Stopwatch(0.2))
    assert slow.tokens == 64
    assert slow.speed == pytest.approx(SIZE.per_pair * 64**2 / 0.1)


def test_a_fast_machine_measures_the_longest_text() -> None:
    assert measure(SIZE, NUMPY, Stopwatch(1e-6)).tokens == 2_048


def test_measuring_stops_before_the_time_is_used_up() -> None:
    # 0.015 s a run, two runs a length; after 1,024 tokens 0.15 s are spent, and 8 × 0.015 s more are too many
    assert measure(SIZE, NUMPY, Stopwatch(0.03)).tokens == 1_024


def test_a_delayed_run_does_not_count() -> None:
    ends = iter([0, 1, 1, 1.001, 2, 2.001, 3, 4, 4, 5])  # the warm-up, two short runs of 64, two slow of 128
    assert measure(SIZE, NUMPY, lambda: next(ends)).tokens == 64
