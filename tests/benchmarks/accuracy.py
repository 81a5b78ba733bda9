"""How far our numbers are from Hugging Face eager attention in float32: every layer and head.

    python -m tests.benchmarks.accuracy MODEL_DIRECTORY...

Prints a table: the largest difference of a softmax weight, and of a hidden state as a share of the
largest of its layer, over three texts. A GPT-2 twin with random, peaked attention comes last.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

from tests.support.reference import inputs_of, largest_differences, ours, reference_of
from tests.support.twins import RECIPES

TEXTS = (
    "The animal didn't cross the street because it was too tired.",
    "Tom has a red ball and Ann has a blue ball. Tom likes the ball of Ann, and Ann likes the ball of Tom.",
    "Once upon a time, in a café by the sea 👍, there were 1,024 naïve fish; none of them could swim!",
)


def main() -> None:
    """Measure every directory and the twin."""
    print("| model | tokens | largest difference of a weight | of a hidden state, relative |")
    print("|---|--:|--:|--:|")
    for directory in map(Path, sys.argv[1:]):
        print(line(directory.name, directory), flush=True)
    with tempfile.TemporaryDirectory() as twin:
        RECIPES["gpt2"].save(Path(twin))
        print(line("GPT-2 twin, random and peaked", Path(twin)))


def line(name: str, directory: Path) -> str:
    """One line of the table: the worst of the three texts."""
    inputs = [inputs_of(directory, text) for text in TEXTS]
    found = [largest_differences(ours(directory, each), reference_of(directory, each)) for each in inputs]
    weights, hidden = (max(column) for column in zip(*found, strict=True))
    tokens = ", ".join(str(len(each.ids)) for each in inputs)
    return f"| {name} | {tokens} | {weights:.1e} | {hidden:.1e} |"


if __name__ == "__main__":
    main()
