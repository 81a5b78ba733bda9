"""The residual stream of a few tokens in parts: they add up, and each belongs to its writer."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from attn_cli.core.arrays import Array
from attn_cli.core.decomposition import Component, Decomposition
from attn_cli.models.backend import Backend, choose_backend, torch_backend
from attn_cli.models.native.residual import ResidualStream
from attn_cli.models.native.spec import Part
from attn_cli.models.native.transformer import Inputs, Tensors, Transformer
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source, Texts
from attn_cli.record import record
from attn_cli.vocabulary import ComponentType, DType, Kind
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.reference import NUMPY, inputs_of, transformer
from tests.support.twins import RECIPES, TEXTS, Recipe

FLOAT64 = choose_backend("cpu", DType.FLOAT64)
TWINS: Mapping[str, Recipe] = {**RECIPES, **FAMILIES}
PLACES = (7, 2, 5)


def saved(name: str, directory: Path) -> Path:
    {**TWINS, **TRANSLATORS}[name].save(directory)
    return directory


def streams(directory: Path, backend: Backend = FLOAT64, **how: Any) -> ResidualStream:
    model = transformer(directory, backend, **how)
    return ResidualStream(model, inputs_of(directory, TEXTS[0]), PLACES, Kind.SELF)


@pytest.mark.slow  # a twin of each family
@pytest.mark.parametrize("name", TWINS)
def test_the_parts_add_up_to_the_stream_that_enters_and_leaves(name: str, tmp_path: Path) -> None:
    stream = streams(saved(name, tmp_path))
    *states, last = stream.model.hidden_states(stream.inputs)
    output, leaving = stream.leaving
    np.testing.assert_array_equal(output, last)
    np.testing.assert_allclose(leaving.total, last[list(PLACES)], rtol=0, atol=1e-9)
    for layer in range(len(states)):
        attention, entering = stream.entering(layer)
        assert attention.input is not None
        np.testing.assert_allclose(entering.total, attention.input[list(PLACES)], rtol=0, atol=1e-9)


def test_there_is_a_part_for_each_writer(tmp_path: Path) -> None:
    _, leaving = streams(saved("gpt2", tmp_path)).leaving
    layers = [
        component
        for layer in range(3)
        for component in (
            *(Component(ComponentType.HEAD, Kind.SELF, layer, head) for head in range(4)),
            Component(ComponentType.OUTPUT_BIAS, Kind.SELF, layer),
            Component(ComponentType.FEED_FORWARD, Kind.SELF, layer),
        )
    ]
    embeddings = [Component(each, Kind.SELF) for each in (ComponentType.EMBEDDING, ComponentType.POSITION)]
    assert list(leaving.components) == embeddings + layers
    assert leaving.parts.shape == (20, 3, 32)


def part_of(stream: Decomposition, component: Component) -> Any:
    return stream.parts[stream.components.index(component)]


@pytest.mark.parametrize("name", ["gpt2", "llama, wide heads"])
def test_each_part_is_what_a_module_of_transformers_writes(name: str, tmp_path: Path) -> None:
    directory = saved(name, tmp_path)
    stream = streams(directory)
    found = written_by_modules(directory, stream.inputs)
    _, entering = stream.layer(2)
    for component, expected in found.items():
        difference = part_of(entering, component) - expected[list(PLACES)]
        assert np.abs(difference).max() < 2e-6, (
            component
        )  # transformers computes the angles of RoPE in float32
    without = {each for each in entering.components if each.type is ComponentType.OUTPUT_BIAS}
    assert found.keys() == set(entering.components) - without


def written_by_modules(directory: Path, inputs: Inputs) -> dict[Component, Any]:
    """(T, M) what each writer below layer 2 adds, from hooks in transformers' model in float64."""
    model: Any = AutoModel.from_pretrained(directory, attn_implementation="eager").double().eval()
    is_gpt2, written = hasattr(model, "wte"), dict[Component, Any]()

    def keep(module: Any, component: Component) -> None:
        module.register_forward_hook(
            lambda _module, _given, output: written.update({component: output[0].numpy()})
        )

    def keep_heads(module: Any, layer: int) -> None:
        weight = module.weight if is_gpt2 else module.weight.T  # (in, out)

        def heads(_module: Any, given: Any) -> None:
            size = weight.shape[0] // 4
            for head in range(4):
                features = slice(head * size, (head + 1) * size)
                part = given[0][0][:, features] @ weight[features]
                written[Component(ComponentType.HEAD, Kind.SELF, layer, head)] = part.detach().numpy()

        module.register_forward_pre_hook(heads)

    keep(model.wte if is_gpt2 else model.embed_tokens, Component(ComponentType.EMBEDDING, Kind.SELF))
    if is_gpt2:
        keep(model.wpe, Component(ComponentType.POSITION, Kind.SELF))
    for layer, block in enumerate((model.h if is_gpt2 else model.layers)[:2]):
        keep(block.mlp, Component(ComponentType.FEED_FORWARD, Kind.SELF, layer))
        keep_heads(block.attn.c_proj if is_gpt2 else block.self_attn.o_proj, layer)
    with torch.no_grad():
        model(input_ids=torch.tensor([list(inputs.ids)]))
    return written


@record(frozen=True)
class Silenced:
    """Weights in which one head's slice of a W^O is zero."""

    inner: Tensors
    name: str  # of W^O
    features: slice

    def read(self, name: str, shape: tuple[int, ...]) -> Array:
        found = self.inner.read(name, shape)
        if name != f"{self.name}.weight":
            return found
        changed = found.copy()
        changed[:, self.features] = 0
        return changed

    def rows(self, name: str, shape: tuple[int, int], indices: Any) -> Array:
        return self.inner.rows(name, shape, indices)

    def stored(self, name: str) -> str:
        return self.inner.stored(name)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        self.inner.check(name, shape)


def silenced(model: Transformer, output: Part, layer: int, head: int) -> Transformer:
    size, name = model.spec.head_size, output.name.format(**model.spec.numbers(layer))
    return replace(model, weights=Silenced(model.weights, name, slice(head * size, (head + 1) * size)))


@pytest.mark.parametrize("name", ["bert", "olmo2", "gemma2", "gpt_neox", "granite"])
def test_only_the_head_whose_output_weights_are_zero_writes_nothing(name: str, tmp_path: Path) -> None:
    stream = streams(saved(name, tmp_path))
    quiet = replace(stream, model=silenced(stream.model, stream.model.spec.output, 1, 2))
    _, leaving = quiet.leaving
    nothing = [each for each in leaving.components if not part_of(leaving, each).any()]
    assert nothing == [Component(ComponentType.HEAD, Kind.SELF, 1, 2)]


def test_layers_that_share_weights_write_a_part_each(tmp_path: Path) -> None:
    stream = streams(saved("albert, groups", tmp_path))
    quiet = replace(stream, model=silenced(stream.model, stream.model.spec.output, 1, 2))
    _, leaving = quiet.leaving
    nothing = [each for each in leaving.components if not part_of(leaving, each).any()]
    assert nothing == [Component(ComponentType.HEAD, Kind.SELF, layer, 2) for layer in (1, 3)]


def test_cross_attention_heads_write_into_the_decoder(tmp_path: Path) -> None:
    directory = saved("bart", tmp_path)
    model, inputs = transformer(directory, FLOAT64), inputs_of(directory, TEXTS[0])
    assert model.spec.decoder is not None
    assert model.spec.decoder.cross is not None
    decoder = replace(model, spec=model.spec.decoder)
    quiet = silenced(decoder, model.spec.decoder.cross.output, 0, 1)
    stream = ResidualStream(quiet, inputs, PLACES, Kind.DECODER, lambda: model.memory(inputs))
    _, leaving = stream.leaving
    nothing = [each for each in leaving.components if not part_of(leaving, each).any()]
    assert nothing == [Component(ComponentType.HEAD, Kind.CROSS, 0, 1)]


def test_the_keys_of_cross_attention_are_written_by_the_encoder(tmp_path: Path) -> None:
    source, texts = translator(saved("t5", tmp_path))
    found = source.decomposed_input(texts, Kind.CROSS, 1, [3, 0], [4, 2, 2])
    assert {each.kind for each in found.keys.components} == {Kind.ENCODER}
    assert {each.kind for each in found.queries.components} == {Kind.DECODER, Kind.CROSS}
    assert found.attention.memory is not None
    assert found.attention.input is not None
    np.testing.assert_allclose(found.keys.total, found.attention.memory[[4, 2, 2]], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.queries.total, found.attention.input[[3, 0]], rtol=0, atol=1e-9)


def translator(directory: Path) -> tuple[Source, Texts]:
    source = open_checkpoint("twin", directory, FLOAT64)
    return source, Texts(source.tokens(TEXTS[0], None), source.target_tokens(TEXTS[1][:30]))


@pytest.mark.parametrize("name", TRANSLATORS)
@pytest.mark.parametrize("kind", [Kind.ENCODER, Kind.DECODER])
def test_both_sides_of_a_translator_add_up(name: str, kind: Kind, tmp_path: Path) -> None:
    source, texts = translator(saved(name, tmp_path))
    found = source.decomposed_input(texts, kind, 1, [3], [2, 1])
    assert found.attention.input is not None
    np.testing.assert_allclose(found.queries.total, found.attention.input[[3]], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.keys.total, found.attention.input[[2, 1]], rtol=0, atol=1e-9)


def test_later_layers_do_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_checkpoint("twin", saved("gpt2", tmp_path), NUMPY)
    fed: list[int] = []
    feed = Transformer.feed_forward

    def counted(self: Transformer, layer: int, *rest: Any) -> Array:
        fed.append(layer)
        return feed(self, layer, *rest)

    monkeypatch.setattr(Transformer, "feed_forward", counted)
    source.decomposed_input(Texts(source.tokens(TEXTS[0], None)), Kind.SELF, 1, [3], [2, 1])
    assert fed == [0]  # once each, and not that of the layer itself


def test_half_precision_leaves_a_remainder_that_is_said(tmp_path: Path) -> None:
    half = torch_backend("cpu", DType.BFLOAT16)
    _, leaving = streams(saved("llama", tmp_path), half).leaving
    worst = np.abs(leaving.remainder).max()
    assert 1e-4 < worst < 0.2  # 8 bits: 0.4 % of parts of size 1 to 5


def test_a_decomposition_is_of_the_tokens_asked_for(tmp_path: Path) -> None:
    stream = streams(saved("bert", tmp_path))
    everything = replace(stream, places=range(len(stream.inputs.ids)))
    chosen = everything.entering(2)[1].at(PLACES)
    np.testing.assert_allclose(stream.entering(2)[1].parts, chosen.parts, rtol=0, atol=1e-12)
