"""The reference model: Hugging Face's eager attention on the same file."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel

from attn_cli.core.arrays import to_numpy
from attn_cli.core.attention import trace
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.files.config import read_config
from attn_cli.models.files.weights import open_weights
from attn_cli.models.native.families import read_spec
from attn_cli.models.native.transformer import Inputs, Transformer
from attn_cli.models.source import Layer, Source, Texts
from attn_cli.models.tokens.open import open_tokenizer
from attn_cli.vocabulary import DType, Step

NUMPY = choose_backend("cpu", DType.FLOAT32)
TORCH = Backend("torch", "cpu", DType.FLOAT32, torch.tensor)

Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Answer:
    """The weights (H, T, S) of each layer, and the hidden states (T, M) between layers."""

    weights: list[Numbers]
    hidden: list[Numbers]


def weights_of(layer: Layer) -> Numbers:
    """(H, T, S) of every head, as eager attention returns them."""
    weights, sink = (
        layer.steps(range(layer.heads), {Step.WEIGHTS})[Step.WEIGHTS],
        layer.sink(range(layer.heads)),
    )
    return to_numpy(weights if sink is None else sink.as_returned(weights))


def inputs_of(directory: Path, text: str, pair: str | None = None) -> Inputs:
    """The text, tokenized by the tokenizer in the directory."""
    tokens = open_tokenizer(directory)(text, pair)
    return Inputs([token.id for token in tokens], [token.segment for token in tokens])


def every_weight_of(source: Source, text: str) -> list[Numbers]:
    """The weights (H, T, S) of every layer's self-attention."""
    (kind, extent), *_ = source.kinds.items()
    layers = source.attentions(Texts(source.tokens(text, None)), kind, extent.layers)
    return [weights_of(layer) for layer in layers]


def ours(directory: Path, inputs: Inputs, backend: Backend = NUMPY, **how: Any) -> Answer:
    """The results of the native transformer."""
    model = transformer(directory, backend, **how)
    return Answer(
        weights=[to_numpy(trace(layer.operands).weights) for layer in model.attentions(inputs)],
        hidden=[to_numpy(x) for x in model.hidden_states(inputs)],
    )


def transformer(directory: Path, backend: Backend = NUMPY, **how: Any) -> Transformer:
    """The native transformer for the directory."""
    spec = read_spec(read_config(directory), **how)
    return Transformer(spec, open_weights(directory, spec.prefixes, spec.aliases), backend)


def reference_of(directory: Path, inputs: Inputs, dtype: torch.dtype = torch.float32, **given: Any) -> Answer:
    """The results of Hugging Face, each time from a new copy, as dynamic RoPE remembers the longest text."""
    model = copy.deepcopy(_loaded(directory)).to(dtype)
    ids = torch.tensor([list(inputs.ids)])
    if getattr(model.config, "type_vocab_size", 1) > 1:
        given |= {"token_type_ids": torch.tensor([list(inputs.segments)])}
    if inputs.real is not None:
        given |= {"attention_mask": torch.tensor([list(inputs.real)]).long()}
    with torch.no_grad():
        found = model(input_ids=ids, output_attentions=True, output_hidden_states=True, **given)
    return Answer(
        [each[0].numpy() for each in found.attentions], [each[0].numpy() for each in found.hidden_states]
    )


@cache
def _loaded(directory: Path) -> Any:
    model = AutoModel.from_pretrained(directory, attn_implementation="eager", dtype=torch.float32)
    return model.eval()


def pad(inputs: Inputs, count: int, where: str) -> tuple[Inputs, slice]:
    """The same text with padding on one side, and the positions of its tokens."""
    length = len(inputs.ids)

    def beside(own: Sequence[Any], filling: Any) -> list[Any]:
        return [filling] * count + [*own] if where == "start" else [*own] + [filling] * count

    first = count if where == "start" else 0
    padded = Inputs(beside(inputs.ids, 0), beside(inputs.segments, 0), beside([True] * length, filling=False))
    return padded, slice(first, first + length)


def largest_differences(found: Answer, expected: Answer, rows: Any = slice(None)) -> tuple[float, float]:
    """The largest difference of weights, and of hidden states relative to the layer's largest number."""
    weights = [
        float(np.abs(a[:, rows] - b[:, rows]).max())
        for a, b in zip(found.weights, expected.weights, strict=True)
    ]
    hidden = [
        float(np.abs(a[rows] - b[rows]).max() / np.abs(b[rows]).max())
        for a, b in zip(found.hidden, expected.hidden, strict=True)
    ]
    return max(weights), max(hidden)
