"""How time and memory of `attn heads` grow with the text: a GPT-2-sized random model with long positions.

    python -m tests.benchmarks.growth [--tokens 1024,2048,4096,8192,16384,32768] [--picture growth.png]

12 layers × 12 heads of 64 features, all heads, whole processes. Prints a table and draws it.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from safetensors.numpy import save_file

from attn_cli.models.hub.locate import EMBEDDED_DIRECTORY
from tests.benchmarks.start import Cost, cost

WIDTH, LAYERS, HEADS, POSITIONS, VOCABULARY = 768, 12, 12, 32_768, 4_096


def main() -> None:
    """Create the model, run the command for each length, print the table, draw the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", default="1024,2048,4096,8192,16384,32768")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    lengths = [int(each) for each in given.tokens.split(",")]
    found: list[Cost] = []
    print("| tokens | seconds | peak, MiB | all matrices, GiB |")
    print("|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make(directory)
        for length in lengths:
            found.append(measured(directory, length))
            full = LAYERS * HEADS * length**2 * 4 / 2**30
            print(
                f"| {length:,} | {found[-1].seconds:.1f} | {found[-1].mebibytes:.0f} | {full:.1f} |",
                flush=True,
            )
    if given.picture:
        draw(lengths, found, given.picture)


def measured(directory: Path, length: int) -> Cost:
    """Run `attn heads` on this many tokens."""
    text = directory / "text.txt"
    text.write_text(words(length), encoding="utf-8")
    command = [sys.executable, "-m", "attn_cli", "heads", "--file", str(text), "-m", str(directory), "--json"]
    return cost(command)


def words(length: int) -> str:
    """A text of this many tokens: the start token, then words of one token each."""
    draws = np.random.default_rng(0).choice(["the", "cat", "sat", "on", "a", "mat", "and", "ran"], length - 1)
    return " ".join(draws)


def make(directory: Path) -> None:
    """A GPT-2 with random weights and positions up to the longest text."""
    config = {
        "model_type": "gpt2",
        "n_embd": WIDTH,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_positions": POSITIONS,
        "vocab_size": VOCABULARY,
    }
    (directory / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(EMBEDDED_DIRECTORY / name, directory)
    draw = np.random.default_rng(0)

    def random(*shape: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        return draw.normal(0, 0.05, shape).astype(np.float32)

    def ones() -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        return np.ones(WIDTH, np.float32)

    tensors = {"wte.weight": random(VOCABULARY, WIDTH), "wpe.weight": random(POSITIONS, WIDTH)}
    for layer in range(LAYERS):
        for part, rows, columns in (
            ("attn.c_attn", WIDTH, 3 * WIDTH),
            ("attn.c_proj", WIDTH, WIDTH),
            ("mlp.c_fc", WIDTH, 4 * WIDTH),
            ("mlp.c_proj", 4 * WIDTH, WIDTH),
        ):
            tensors[f"h.{layer}.{part}.weight"] = random(rows, columns)
            tensors[f"h.{layer}.{part}.bias"] = random(columns)
        for norm in ("ln_1", "ln_2"):
            tensors[f"h.{layer}.{norm}.weight"], tensors[f"h.{layer}.{norm}.bias"] = ones(), random(WIDTH)
    tensors |= {"ln_f.weight": ones(), "ln_f.bias": random(WIDTH)}
    save_file(tensors, directory / "model.safetensors")


def draw(lengths: list[int], found: list[Cost], picture: Path) -> None:
    """Plot seconds and memory against tokens, with logarithmic axes."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    times, memory = figure.subplots(1, 2)
    times.plot(lengths, [each.seconds for each in found], "o-", color="#3b528b")
    memory.plot(lengths, [each.mebibytes for each in found], "o-", color="#3b528b")
    times.set(xlabel="tokens", ylabel="seconds", xscale="log", yscale="log", title="time")
    memory.set(xlabel="tokens", ylabel="MiB at the peak", title="memory")
    memory.set_ylim(bottom=0)
    for axes in (times, memory):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    main()
