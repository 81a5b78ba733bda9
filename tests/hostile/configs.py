"""Configs: a number in a file is a claim; values that no model has; texts that would fill the memory."""

import os
from collections.abc import Iterator
from typing import Any

from tests.hostile.cases import TEXT, Case, Place
from tests.hostile.processes import Line

_CLAIM = "a count that the weights do not bear out"
_VALUE = "a value that no model has"
_SIZE = "a JSON file that would fill the memory"
_ENCODERS = ("bart", "t5")


def _inspected(place: Place, family: str, **changes: Any) -> Line:
    model = place.twin(family, **changes)
    target = ("--target", "the mat", "--kind", "decoder") if family in _ENCODERS else ()
    return Line(("inspect", TEXT, "-m", model, *target))


def _config(kind: str, says: str, family: str, **changes: Any) -> Case:
    name = f"{family}, " + ", ".join(f"{key} = {str(value)[:20]}" for key, value in changes.items())
    return Case(kind, name, lambda place: _inspected(place, family, **changes), says)


def _large(place: Place, name: str, content: str) -> Line:
    model = place.twin("gpt2")
    (model / name).write_text(content)
    return Line(("inspect", TEXT, "-m", model))


def _sparse(place: Place, name: str, size: int) -> Line:
    model = place.twin("gpt2")
    os.truncate(model / name, size)
    return Line(("inspect", TEXT, "-m", model))


def cases() -> Iterator[Case]:
    """Of these three kinds."""
    yield _config(_CLAIM, "num_hidden_layers is 1000000000", "bert", num_hidden_layers=10**9)
    yield _config(_CLAIM, "n_layer is 1000000000", "gpt2", n_layer=10**9)
    yield _config(_CLAIM, "num_hidden_layers is 1000000000", "albert", num_hidden_layers=10**9)
    yield _config(_CLAIM, "inner_group_num is 1000000000", "albert", inner_group_num=10**9)
    yield _config(_CLAIM, "decoder_layers is 1000000000", "bart", decoder_layers=10**9)
    yield _config(_CLAIM, "num_decoder_layers is 1000000000", "t5", num_decoder_layers=10**9)
    yield _config(
        _CLAIM,
        "attention_types|num_layers",
        "gpt_neo",
        attention_types=[[["global"], 10**9]],
        num_layers=10**9,
    )
    yield _config(_CLAIM, r"has the shape \(32, 32\)", "llama", num_attention_heads=10**9)
    yield _config(_CLAIM, r"wpe.weight .*not \(1000000000, 32\)", "gpt2", n_positions=10**9)
    yield _config(_CLAIM, r"word_embeddings.weight .*not \(1000000000000, 32\)", "bert", vocab_size=10**12)
    yield _config(
        _VALUE, "decoder_start_token_id 9223372036854775807", "bart", decoder_start_token_id=2**63 - 1
    )
    yield _config(_VALUE, "distance", "t5", relative_attention_max_distance=2)
    yield _config(_VALUE, "num_attention_heads", "bert", num_attention_heads=-1)
    yield _config(_VALUE, "layer_norm", "gpt2", layer_norm_epsilon="\x1b[2Jx")
    yield Case(
        _SIZE,
        "config.json of 99 MB of lists",
        lambda place: _large(place, "config.json", _LISTS),
        "too large",
    )
    yield Case(
        _SIZE,
        "config.json of 1 MB of lists",
        lambda place: _large(place, "config.json", _DEEP),
        "config.json",
    )
    yield Case(
        _SIZE, "tokenizer.json, sparse", lambda place: _sparse(place, "tokenizer.json", 10**12), "too large"
    )
    yield Case(_SIZE, "config.json, sparse", lambda place: _sparse(place, "config.json", 2**40), "too large")
    yield Case(_SIZE, "an index of 10⁶ shards", _index, "shards|too large")


_LISTS = '{"a": [' + "[]," * 33_000_000 + "[]]}"
_DEEP = "[" * 10**6


def _index(place: Place) -> Line:
    model = place.twin("gpt2")
    (model / "model.safetensors").unlink()
    names = '"t": "model-1.safetensors", ' * 10**6
    (model / "model.safetensors.index.json").write_text(f'{{"weight_map": {{{names}"u": "a"}}}}')
    return Line(("inspect", TEXT, "-m", model))
