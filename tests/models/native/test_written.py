"""What heads write, in every family: norms beside a loop, value zeroing beside layers run without a value."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import AutoModel

from attn_cli.core.arrays import Array, to_numpy
from attn_cli.core.multihead import Attention
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.native.transformer import Block, Changes, Inputs, Transformer
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source, Texts
from attn_cli.vocabulary import DType, Kind, Step
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.twins import RECIPES, TEXTS

pytestmark = pytest.mark.slow  # a twin of each family

FLOAT64 = choose_backend("cpu", DType.FLOAT64)
TWINS = {**RECIPES, **FAMILIES, **TRANSLATORS}

Numbers = npt.NDArray[np.floating]


def opened(name: str, directory: Path, backend: Backend = FLOAT64) -> Checkpoint:
    TWINS[name].save(directory)
    source = open_checkpoint("twin", directory, backend)
    assert isinstance(source, Checkpoint)
    return source


def texts_of(source: Source, text: str = TEXTS[0]) -> Texts:
    target = source.target_tokens(TEXTS[1]) if source.has_decoder else ()
    return Texts(source.tokens(text, None), target)


def attentions_of(source: Source, texts: Texts) -> Iterator[tuple[Kind, int, Attention]]:
    for kind, extent in source.kinds.items():
        for number, layer in enumerate(source.attentions(texts, kind, extent.layers)):
            assert layer.opened is not None
            yield kind, number, layer.opened


def written_by_keys(attention: Attention, head: int) -> Numbers:
    """(S, M) f(x_j) = (x_j W^V + b^V) W^O of a head, from the weights of the layer."""
    layer, source = attention.layer, attention.input if attention.memory is None else attention.memory
    assert layer is not None
    assert source is not None
    size = layer.value.weight.shape[0] // layer.kv_heads
    values = slice(attention.kv_head(head) * size, (attention.kv_head(head) + 1) * size)
    bias = 0 if layer.value.bias is None else layer.value.bias[values]
    f: Numbers = (source @ layer.value.weight[values].T + bias) @ layer.output.weight[
        :, head * size : (head + 1) * size
    ].T
    return f


@pytest.mark.parametrize("text", [TEXTS[0], "the cat"], ids=["long", "short"])
@pytest.mark.parametrize("name", TWINS)
def test_norms_are_those_of_what_each_key_adds_and_it_adds_up(name: str, text: str, tmp_path: Path) -> None:
    source, peaks = opened(name, tmp_path), list[float]()
    for _, _, attention in attentions_of(source, texts_of(source, text)):
        heads = range(attention.heads)
        step = attention.steps(heads, {Step.WEIGHTS, Step.NORMS, Step.NORM_SHARES})
        assert attention.projection is not None
        bias = attention.projection.bias
        total = np.zeros_like(attention.result()) + (0 if bias is None else bias)
        for head in heads:
            weights = step[Step.WEIGHTS][head]
            f = written_by_keys(attention, head)
            for query, row in enumerate(weights):
                expected = np.array([np.linalg.norm(weight * f[key]) for key, weight in enumerate(row)])
                np.testing.assert_allclose(step[Step.NORMS][head][query], expected, rtol=0, atol=1e-11)
                np.testing.assert_allclose(
                    step[Step.NORM_SHARES][head][query], expected / expected.sum(), rtol=0, atol=1e-11
                )
                total[query] += row @ f
            peaks.append(float(weights.max(axis=-1).mean()))
        np.testing.assert_allclose(total, attention.result(), rtol=0, atol=1e-11)
    assert np.mean(peaks) > 0.4  # flat rows would pass with broken maths


def blocks_of(
    source: Checkpoint, kind: Kind, texts: Texts
) -> Iterator[tuple[Block, Transformer, Inputs, Any]]:
    model = Transformer(source.spec, source.open_weights(), source.backend)
    inputs = Inputs([token.id for token in texts.tokens], [token.segment for token in texts.tokens])
    if kind in {Kind.SELF, Kind.ENCODER}:
        yield from ((block, model, inputs, None) for block in model.blocks(inputs))
        return
    assert source.spec.decoder is not None
    decoder = replace(model, spec=source.spec.decoder)
    target = Inputs([token.id for token in texts.target], [0 for _ in texts.target])
    memory = partial(model.memory, inputs)
    yield from ((block, decoder, target, memory) for block in decoder.blocks(target, memory))


def without_value(key: int, is_cross: bool) -> Callable[[Attention], Attention]:
    """Make the values of a key zero in all heads; the cross-attention reads another number of keys."""

    def watch(attention: Attention) -> Attention:
        if (attention.memory is not None) != is_cross:
            return attention
        values = attention.operands.values.copy()
        values[:, key] = 0
        return replace(attention, operands=replace(attention.operands, values=values))

    return watch


@pytest.mark.parametrize("name", TWINS)
def test_value_zeroing_is_what_the_layer_does_without_a_value(name: str, tmp_path: Path) -> None:
    source = opened(name, tmp_path)
    texts, largest = texts_of(source), 0.0
    for kind in source.kinds:
        is_cross = kind is Kind.CROSS
        for block, model, inputs, memory in blocks_of(source, kind, texts):
            attention = block.cross_attention if is_cross else block.attention
            found = attention.steps([0], {Step.VALUE_ZEROING})[Step.VALUE_ZEROING][0]
            assert found.shape == attention.mask.shape
            text = model.opened(inputs, block.x, memory)
            whole = block.leaving
            for key in (0, 3, found.shape[1] - 1):
                changes = Changes(watch=without_value(key, is_cross))
                without = text.block(block.layer, block.x, changes=changes).leaving
                lengths = np.linalg.norm(without, axis=-1) * np.linalg.norm(whole, axis=-1)
                expected = 1 - (without * whole).sum(axis=-1) / lengths
                np.testing.assert_allclose(found[:, key], expected, rtol=0, atol=1e-12)
                largest = max(largest, float(expected.max()))
    assert largest > 0.01


VALUES = {
    "bert": "encoder.layer.{}.attention.self.value",
    "gptj": "h.{}.attn.v_proj",
    "gemma2": "layers.{}.self_attn.v_proj",
    "olmo2": "layers.{}.self_attn.v_proj",
    "opt, norms behind": "decoder.layers.{}.self_attn.v_proj",
}


@pytest.mark.parametrize("name", VALUES)
def test_value_zeroing_is_that_of_a_hook_in_transformers(name: str, tmp_path: Path) -> None:
    source = opened(name, tmp_path)
    texts = texts_of(source)
    model: Any = AutoModel.from_pretrained(tmp_path, attn_implementation="eager", dtype=torch.float64).eval()
    ids = torch.tensor([[token.id for token in texts.tokens]])

    def leaving(layer: int, key: int | None) -> Numbers:
        """(T, M) what enters the layer after this one, the values of a key being zero in it."""

        def zero(_module: Any, _inputs: Any, values: torch.Tensor) -> torch.Tensor:
            values = values.clone()
            if key is not None:
                values[:, key] = 0
            return values

        hook = model.get_submodule(VALUES[name].format(layer)).register_forward_hook(zero)
        with torch.no_grad():
            states = model(ids, output_hidden_states=True).hidden_states
        hook.remove()
        found: Numbers = states[layer + 1][0].numpy()
        return found

    (kind,) = source.kinds
    for layer, attention in enumerate(source.attentions(texts, kind, range(2))):
        found = to_numpy(attention.steps([0], {Step.VALUE_ZEROING})[Step.VALUE_ZEROING])[0]
        whole = leaving(layer, None)
        for key in (0, 2):
            without = leaving(layer, key)
            lengths = np.linalg.norm(without, axis=-1) * np.linalg.norm(whole, axis=-1)
            expected = 1 - (without * whole).sum(axis=-1) / lengths
            # transformers computes the angles of RoPE in float32
            np.testing.assert_allclose(found[:, key], expected, rtol=0, atol=1e-6)
            assert expected.max() > 1e-3


@pytest.mark.parametrize("name", ["gemma2", "gptj", "bert"])
def test_rows_alone_have_the_numbers_of_the_whole(name: str, tmp_path: Path) -> None:
    source = opened(name, tmp_path)
    texts = texts_of(source)
    wanted = {Step.NORMS, Step.NORM_SHARES, Step.VALUE_ZEROING}
    for layer in source.attentions(texts, next(iter(source.kinds)), range(3)):
        whole, part = layer.steps([2], wanted), layer.at([5, 2]).steps([2], wanted)
        for step in wanted:
            np.testing.assert_allclose(part[step], whole[step][:, [5, 2]], rtol=0, atol=1e-13)


def test_blocks_of_rows_and_keys_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from attn_cli.core.written import value_zeroing

    source = opened("gpt2", tmp_path)
    layer = next(iter(source.attentions(texts_of(source), Kind.SELF, [0])))
    whole: Array = layer.steps([0], {Step.VALUE_ZEROING})[Step.VALUE_ZEROING]
    monkeypatch.setattr(value_zeroing, "_ROWS", 4)
    monkeypatch.setattr(value_zeroing, "_NUMBERS", 4 * 32 * 3)
    again = layer.steps([0], {Step.VALUE_ZEROING})[Step.VALUE_ZEROING]
    np.testing.assert_allclose(again, whole, rtol=0, atol=1e-13)
