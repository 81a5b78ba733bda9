"""From process start to matrices: `attn inspect` compared with a transformers script, family by family.

    python -m tests.benchmarks.families [--pairs 3] [--only llama,falcon]

Every family is a small random twin, so that mainly the start is timed: imports, and what is read before the
first matrix. Prints medians of wall time and of the ratio, pair by pair. The goals: 0.1 for a native family,
1.1 for one over the bridge.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.start import Race, line, script
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.twins import RECIPES, TEXTS, Recipe, byte_level, save_tokenizer

NATIVE, BRIDGE = 0.1, 1.1
TWINS: dict[str, Recipe] = {**RECIPES, **FAMILIES, **TRANSLATORS}

READ = """
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel
    ids = torch.tensor([Tokenizer.from_file({model!r} + "/tokenizer.json").encode({text!r}).ids])
    model = AutoModel.from_pretrained({model!r}, attn_implementation="eager").eval()
    given = {{"decoder_input_ids": ids}} if model.config.is_encoder_decoder else {{}}
    with torch.no_grad():
        found = model(input_ids=ids, output_attentions=True, **given)
    weights = (found.encoder_attentions if given else found.attentions)[1][0, 1]
    for row in weights.tolist():
        print(*(f"{{value:.2f}}" for value in row))
"""


def main() -> None:
    """Run every comparison and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    chosen = given.only.split(",") if given.only else [*natives(), "falcon"]
    print("| family | ours | the script | ratio | goal |")
    print("|---|--:|--:|--:|--:|")
    for name in chosen:
        with tempfile.TemporaryDirectory() as directory:
            save(name, Path(directory))
            print(seconds(race(name, directory), given.pairs), flush=True)


def seconds(found: Race, pairs: int) -> str:
    """The wall times of `line`; its memory columns would include PyTorch, which this process has loaded."""
    return "|".join(line(found, pairs).split("|")[:6]) + "|"


def natives() -> list[str]:
    """One twin of each native family."""
    return [name for name in TWINS if "," not in name]


def save(name: str, directory: Path) -> None:
    """Save the family's twin in the directory."""
    if name in TWINS:
        TWINS[name].save(directory)
        return
    import transformers

    config = transformers.AutoConfig.for_model(
        name, vocab_size=300, hidden_size=32, num_hidden_layers=3, num_attention_heads=4
    )
    builder: Any = transformers.AutoModel
    builder.from_config(config).save_pretrained(directory)
    save_tokenizer(byte_level(), directory)


def race(name: str, directory: str) -> Race:
    """Time one head of one layer, both ways."""
    ours = [sys.executable, "-m", "attn_cli", "inspect", TEXTS[0], "-m", directory, "--heads", "1.1"]
    theirs = script(READ.format(model=directory, text=TEXTS[0]))
    goal = NATIVE if name in TWINS else BRIDGE
    return Race(name, [*ours, "-s", "weights"], theirs, goal)


if __name__ == "__main__":
    main()
