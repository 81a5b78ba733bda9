"""`python -m tests.support.spread_models TYPE...`: models of the bridge over two GPUs made of the CPU.

Writes a JSON object: for each type the devices that its parts are on, and the largest difference of attention
weights, contexts, outputs, logits and generated tokens from those of one device.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli.core.arrays import to_numpy
from attn_cli.models.backend import Backend
from attn_cli.models.bridge import hf_models, spread
from attn_cli.models.bridge.bridge import Bridge
from attn_cli.models.generation.sampling import likeliest
from attn_cli.models.open import open_checkpoint
from attn_cli.models.source import Texts
from attn_cli.vocabulary import Step
from tests.support.every_language_model import language_twin, twin_texts
from tests.support.reference import NUMPY
from tests.support.two_gpus import GPUS, serve_gpus, tensors_on_gpus


def compared(kind: str) -> dict[str, Any]:
    """What differs for a model of this type between one device and two."""
    with tempfile.TemporaryDirectory() as directory:
        return _compared(kind, Path(directory))


def _compared(kind: str, directory: Path) -> dict[str, Any]:
    model = language_twin(kind, directory)
    texts, source = twin_texts(model), open_checkpoint("twin", directory, NUMPY)
    assert isinstance(source, Bridge)
    expected = list(_numbers(source, texts))
    with _two_gpus() as maps:
        found = list(_numbers(replace(source, backend=replace(source.backend, device="cuda")), texts))
    assert len(found) == len(expected)
    differences = [float(abs(one - other).max()) for one, other in zip(expected, found, strict=True)]
    return {
        "devices": sorted({gpu for parts in maps for gpu in parts.values()}),
        "difference": max(differences),
    }


def _numbers(source: Bridge, texts: Texts) -> Iterator[np.ndarray[Any, Any]]:
    """Weights and contexts of all layers, logits of all rows, and the tokens that follow."""
    for kind, extent in source.kinds.items():
        for attention in source.attentions(texts, kind, list(extent.layers)):
            steps = attention.steps(range(extent.heads), {Step.WEIGHTS, Step.CONTEXT, Step.OUTPUT})
            yield from (to_numpy(step) for step in steps.values())
    rows = range(len(texts.target or texts.tokens))
    predictor = source.predictor(texts)
    yield predictor.logits(rows)
    if predictor.is_next:
        yield np.array(source.generate(texts, 4, lambda after: likeliest(after.logits)), float)


@contextmanager
def _two_gpus() -> Iterator[list[dict[str, str]]]:
    """`cuda` stands for `GPUS` inside the block, each too small for a whole model; the maps that are made."""
    maps: list[dict[str, str]] = []

    def mapped(build: Callable[[], Any], backend: Backend) -> dict[str, str] | None:
        size = 4 * sum(parameter.numel() for parameter in build().parameters())
        patch.setattr(spread, "free_bytes", lambda _gpu: 1.1 * size)
        found = spread.device_map(build, backend)
        assert found is not None
        maps.append(found)
        return found

    with pytest.MonkeyPatch.context() as patch, tensors_on_gpus():
        patch.setattr(spread, "gpus_of", lambda _device: GPUS)
        patch.setattr(hf_models, "device_map", mapped)
        yield maps


def main(kinds: Sequence[str]) -> None:
    """Compare each type and write what was found."""
    serve_gpus()
    sys.stdout.write(json.dumps({kind: compared(kind) for kind in kinds}))


if __name__ == "__main__":
    os.environ["HF_DEACTIVATE_ASYNC_LOAD"] = "1"  # the GPUs are those of this thread
    main(sys.argv[1:])
