"""All heads of a model on a long text compared with its forward pass: whole processes, alternating.

    python -m tests.benchmarks.whole DIRECTORY [--tokens 8192] [--pairs 1]

DIRECTORY is SmolLM2-135M in Hugging Face layout for the figures in docs/long-texts.md. The baseline is
transformers' model with `sdpa` attention, which returns no weights. The text consists of the model's own
tokens.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.benchmarks.start import cost, script

FORWARD = """
    import sys, torch
    from transformers import AutoModel, AutoTokenizer
    text = open({text!r}, encoding="utf-8").read()
    ids = AutoTokenizer.from_pretrained({model!r})(text, return_tensors="pt")["input_ids"]
    model = AutoModel.from_pretrained({model!r}, attn_implementation="sdpa", dtype=torch.float32).eval()
    with torch.no_grad():
        model(ids, use_cache=False)
"""
WORDS = ("the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "to", "see", "sun", "time", "man")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--pairs", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        text = Path(name) / "text.txt"
        draw = random.Random(0)  # noqa: S311  a text to measure with
        text.write_text(" ".join(draw.choice(WORDS) for _ in range(given.tokens)), encoding="utf-8")
        ours = [sys.executable, "-m", "attn_cli", "heads", "--file", str(text), "-m", given.model, "--json"]
        theirs = script(FORWARD.format(text=str(text), model=given.model))
        pairs = [(cost(ours), cost(theirs)) for _ in range(given.pairs)]
    print("| about tokens | `attn heads`, s | sdpa, s | ratio | `attn heads`, MiB | sdpa, MiB | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    cells = [
        f"{given.tokens:,}",
        f"{median(our.seconds for our, _ in pairs):.1f}",
        f"{median(their.seconds for _, their in pairs):.1f}",
        f"**{median(our.seconds / their.seconds for our, their in pairs):.2f}**",
        f"{median(our.mebibytes for our, _ in pairs):.0f}",
        f"{median(their.mebibytes for _, their in pairs):.0f}",
        f"**{median(our.mebibytes / their.mebibytes for our, their in pairs):.2f}**",
    ]
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
