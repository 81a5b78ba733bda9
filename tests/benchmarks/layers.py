"""The cost of a layer of a large model: a Llama of 7 billion parameters, inspected at layer 0, 2 and 5.

    python -m tests.benchmarks.layers [--layers 0,2,5]

The checkpoint is a sparse file: float16 zeros that take no disk space, in the layout and shapes of Llama 2
7B. Prints the peak memory of `attn inspect` for each layer, also as a multiple of one layer's weights in
float32, the format of the computation.
"""

import argparse
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attn_cli.models.hub.locate import EMBEDDED_DIRECTORY
from tests.benchmarks.start import cost

WIDTH, INNER, LAYERS, HEADS, VOCABULARY = 4096, 11008, 32, 32, 32000
TEXT = "the cat sat on the mat"


def main() -> None:
    """Create the file, run the command for each layer, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", default="0,2,5")
    given = parser.parse_args()
    layer_size = sum(rows * columns for _, (rows, columns) in matrices(0)) * 4 / 2**20
    print(f"one layer in float32: {layer_size:.0f} MiB")
    print("| layer | seconds | peak, MiB | in layers |")
    print("|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make(directory)
        for layer in given.layers.split(","):
            command = [sys.executable, "-m", "attn_cli", "inspect", TEXT, "-m", name, "-l", layer, "-H", "0"]
            found = cost(command)
            share = found.mebibytes / layer_size
            print(f"| {layer} | {found.seconds:.1f} | {found.mebibytes:.0f} | {share:.1f} |")


def make(directory: Path) -> None:
    """Write the configuration, the tokenizer, and the weights as a sparse file."""
    config = {
        "model_type": "llama",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "vocab_size": VOCABULARY,
        "rms_norm_eps": 1e-5,
    }
    (directory / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(EMBEDDED_DIRECTORY / name, directory)
    header: dict[str, object] = {}
    place = 0
    for tensor, shape in tensors():
        size = 2 * math.prod(shape)
        header[tensor] = {"dtype": "F16", "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    text = json.dumps(header).encode()
    with (directory / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + place)


def tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    """The name and shape of every tensor."""
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for layer in range(LAYERS):
        yield from matrices(layer)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{layer}.{norm}.weight", (WIDTH,)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def matrices(layer: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The matrices of one layer."""
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        yield f"model.layers.{layer}.self_attn.{name}.weight", (WIDTH, WIDTH)
    for name in ("gate_proj", "up_proj"):
        yield f"model.layers.{layer}.mlp.{name}.weight", (INNER, WIDTH)
    yield f"model.layers.{layer}.mlp.down_proj.weight", (WIDTH, INNER)


if __name__ == "__main__":
    main()
