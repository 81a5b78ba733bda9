"""Encoder, decoder and cross-attention, compared with Hugging Face's eager attention on the same file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from attn_cli.core.arrays import to_numpy
from attn_cli.core.masks import everywhere
from attn_cli.models.backend import Backend
from attn_cli.models.files.config import read_config
from attn_cli.models.files.weights import open_weights
from attn_cli.models.native.families import read_spec
from attn_cli.models.native.spec import Spec
from attn_cli.models.native.transformer import Inputs, Transformer
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Source, Texts
from attn_cli.vocabulary import Kind, Step
from tests.support.families import TRANSLATORS
from tests.support.reference import NUMPY
from tests.support.twins import TEXTS

pytestmark = pytest.mark.slow  # a twin of each family beside transformers

SOURCE, TARGET = TEXTS[0], TEXTS[1][:30]
WEIGHTS = 2e-5
FIELDS = {
    Kind.ENCODER: "encoder_attentions",
    Kind.DECODER: "decoder_attentions",
    Kind.CROSS: "cross_attentions",
}

Weights = list[npt.NDArray[np.floating]]


@pytest.fixture(scope="module", params=TRANSLATORS)
def twin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(request.param, tmp_path_factory.mktemp("translator"))


def saved(name: str, directory: Path) -> Path:
    TRANSLATORS[name].save(directory)
    return directory


def texts_of(source: Source) -> Texts:
    assert source.has_decoder
    return Texts(source.tokens(SOURCE, None), source.target_tokens(TARGET))


def theirs(directory: Path, texts: Texts, kind: Kind) -> Weights:
    model = AutoModel.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        found = model(
            input_ids=torch.tensor([[token.id for token in texts.tokens]]),
            decoder_input_ids=torch.tensor([[token.id for token in texts.target]]),
            output_attentions=True,
        )
    return [layer[0].numpy() for layer in found[FIELDS[kind]]]


def weights_of(source: Source, texts: Texts, kind: Kind) -> Weights:
    extent = source.kinds[kind]
    layers = source.attentions(texts, kind, extent.layers)
    return [to_numpy(each.steps(range(extent.heads), [Step.WEIGHTS])[Step.WEIGHTS]) for each in layers]


def test_every_layer_and_head_agrees_with_eager(twin: Path, backend: Backend) -> None:
    source = open_checkpoint("twin", twin, backend)
    texts = texts_of(source)
    assert len(texts.target) != len(texts.tokens)  # T and S cannot be taken for each other
    peaks: list[float] = []
    for kind in FIELDS:
        expected = theirs(twin, texts, kind)
        for ours, layer in zip(weights_of(source, texts, kind), expected, strict=True):
            np.testing.assert_allclose(ours, layer, atol=WEIGHTS)
            peaks.append(float(layer.max(axis=-1).mean()))
    assert np.mean(peaks) > 0.5  # flat rows would pass with broken maths


def test_the_decoder_reads_its_start_token_and_the_target_without_its_last(twin: Path) -> None:
    source = open_checkpoint("twin", twin, NUMPY)
    assert source.has_decoder
    start = read_spec(read_config(twin)).start
    plain = [token.id for token in source.tokens(TARGET, None)]
    assert [token.id for token in source.target_tokens(TARGET)] == [start, *plain[:-1]]
    assert source.count(TARGET, is_target=True) == len(plain)


def test_the_encoder_does_not_run_for_the_first_layer_of_the_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_checkpoint("twin", saved("t5", tmp_path), NUMPY)
    texts = texts_of(source)
    ran: list[str] = []
    original = Transformer.memory

    def spied(self: Transformer, inputs: Inputs) -> Any:
        ran.append("encoder")
        return original(self, inputs)

    monkeypatch.setattr(Transformer, "memory", spied)
    assert len(list(source.attentions(texts, Kind.DECODER, [0]))) == 1
    assert ran == []
    assert len(list(source.attentions(texts, Kind.CROSS, [0, 1]))) == 2
    assert ran == ["encoder"]


# As in test_families: what is taken away must be noticed.
WITHOUT: dict[str, tuple[tuple[str, ...], Kind, Callable[[Spec], Spec]]] = {
    "the scale of 1": (("t5",), Kind.ENCODER, lambda spec: replace(spec, scale=lambda _layer: None)),
    "the bias by distance": (("t5", "t5, gated"), Kind.ENCODER, lambda spec: replace(spec, relative=None)),
    "the sinusoids": (
        ("marian",),
        Kind.ENCODER,
        lambda spec: replace(spec, embeddings=replace(spec.embeddings, has_sinusoids=False)),
    ),
    "the scale of embeddings": (
        ("bart, scaled", "marian"),
        Kind.ENCODER,
        lambda spec: replace(spec, embeddings=replace(spec.embeddings, scale=1.0)),
    ),
    "the decoder's mask": (
        ("t5", "bart", "marian"),
        Kind.DECODER,
        lambda spec: replace(spec, decoder=replace(decoder_of(spec), is_causal=False, window=nothing_hidden)),
    ),
    "the decoder's bias": (
        ("t5",),
        Kind.DECODER,
        lambda spec: replace(spec, decoder=replace(decoder_of(spec), relative=None)),
    ),
}


def decoder_of(spec: Spec) -> Spec:
    assert spec.decoder is not None
    return spec.decoder


def nothing_hidden(_layer: int) -> Any:
    return everywhere


@pytest.mark.parametrize(
    ("what", "name"), [(what, name) for what, (names, *_) in WITHOUT.items() for name in names]
)
def test_every_part_affects_the_result(what: str, name: str, tmp_path: Path) -> None:
    directory = saved(name, tmp_path)
    _, kind, change = WITHOUT[what]
    spec = change(read_spec(read_config(directory)))
    texts = texts_of(open_checkpoint("twin", directory, NUMPY))
    model = Transformer(spec, open_weights(directory, spec.prefixes, spec.aliases), NUMPY)
    inputs = Inputs([token.id for token in texts.tokens], [])
    if kind is Kind.ENCODER:
        layers = model.attentions(inputs)
    else:
        decoder = replace(model, spec=decoder_of(spec))
        target = Inputs([token.id for token in texts.target], [])
        layers = decoder.attentions(target, lambda: model.memory(inputs))
    apart = [
        float(np.abs(to_numpy(layer.trace().weights) - expected).max())
        for layer, expected in zip(layers, theirs(directory, texts, kind), strict=True)
    ]
    assert max(apart) > 0.05


@pytest.mark.parametrize("sides", [("encoder", "decoder"), ("decoder",), ("encoder",)])
@pytest.mark.parametrize("name", ["t5", "bart", "marian"])
def test_a_side_s_own_token_embeddings_are_read_where_a_file_has_them(
    name: str, sides: tuple[str, ...], tmp_path: Path
) -> None:
    directory = saved(name, tmp_path)
    file = directory / "model.safetensors"
    tensors = load_file(file)
    shared = next(key for key in tensors if key.endswith("shared.weight"))
    draw = torch.Generator().manual_seed(0)
    for side in sides:
        noise = 0.2 * torch.randn(tensors[shared].shape, generator=draw)
        tensors[shared.replace("shared", f"{side}.embed_tokens")] = tensors[shared] + noise
    save_file(tensors, file, metadata={"format": "pt"})
    source = open_checkpoint("twin", directory, NUMPY)
    texts = texts_of(source)
    plain = open_checkpoint("twin", saved(name, tmp_path / "plain"), NUMPY)
    moved = 0.0
    for kind in FIELDS:
        expected, found = theirs(directory, texts, kind), weights_of(source, texts, kind)
        assert max(np.abs(a - b).max() for a, b in zip(expected, found, strict=True)) < WEIGHTS
        pairs = zip(weights_of(plain, texts, kind), found, strict=True)
        moved = max(moved, *(float(np.abs(a - b).max()) for a, b in pairs))
    assert moved > 0.05  # the embeddings tell
