"""What a generated token costs, beside transformers' own `generate` with its cache: the likeliest each time.

    python -m tests.benchmarks.generation MODEL [--prompts 10] [--tokens 64] [--length 0]

MODEL is a directory, or `storybook`. Both run in this process by turns, on the same prompts, in float32; a
prompt may be made longer. The text that both read first is not counted: the time is that from the first new
token to the last. Prints seconds and CPU seconds per token, whether the tokens are the same, and the largest
difference between the rows of a layer as it wrote and those of one pass over the whole text.
"""

import argparse
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import transformers

from attn_cli.core.arrays import Floats, to_numpy
from attn_cli.models.generation.sampling import likeliest
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.open import open_source
from attn_cli.models.source import NextToken, SourceRequest, Texts
from attn_cli.vocabulary import EMBEDDED, Kind, Step

PROMPTS = (
    "Once upon a time",
    "The capital of France is",
    "def fibonacci(n):",
    "The animal didn't cross the street because",
    "In 1492, Columbus",
    "Q: What is 2 + 2?\nA:",
    "Dear Sir or Madam,",
    "The three most important things in life are",
    "import numpy as np\n",
    "Café 日本 🙂",
)


@dataclass
class Clock:
    """The times at which tokens were chosen, and the rows of the layer that is watched."""

    marks: list[tuple[float, float]] = field(default_factory=list)
    rows: list[Floats] = field(default_factory=list)

    def choose(self, after: NextToken) -> int:
        """Take the likeliest token."""
        self.marks.append((time.perf_counter(), time.process_time()))
        if after.watched is not None:
            steps = after.watched.layer.steps(range(after.watched.layer.heads), [Step.WEIGHTS])
            self.rows.append(to_numpy(steps[Step.WEIGHTS])[:, -1])
        return likeliest(after.logits)

    @property
    def per_token(self) -> tuple[float, float]:
        """Seconds and CPU seconds of a token after the first."""
        steps = len(self.marks) - 1
        (wall, cpu), (wall_end, cpu_end) = self.marks[0], self.marks[-1]
        return (wall_end - wall) / max(steps, 1), (cpu_end - cpu) / max(steps, 1)


class Marking(transformers.LogitsProcessor):
    """Notes when transformers chooses a token."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __call__(self, _ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores as they are."""
        self.clock.marks.append((time.perf_counter(), time.process_time()))
        return scores


def main() -> None:
    """Run both on each prompt, and print a line for each, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--length", type=int, default=0, help="tokens that a prompt has at least")
    given = parser.parse_args()
    source = open_source(SourceRequest(None if given.model == EMBEDDED else given.model))
    assert isinstance(source, Checkpoint)
    kind = transformers.AutoModelForSeq2SeqLM if source.has_decoder else transformers.AutoModelForCausalLM
    model = kind.from_pretrained(source.path, dtype=torch.float32).eval()
    print("| prompt | same tokens | s per token | of transformers | CPU s | of transformers | rows |")
    print("|---|---|--:|--:|--:|--:|--:|")
    ratios = [_line(source, model, prompt, given.tokens, given.length) for prompt in PROMPTS[: given.prompts]]
    wall, cpu = (float(np.mean([each[number] for each in ratios])) for number in (0, 1))
    print(f"mean: {wall:.2f} of the time of transformers, {cpu:.2f} of its CPU time")


def _line(source: Checkpoint, model: Any, prompt: str, count: int, length: int) -> tuple[float, float]:
    """One prompt: a line of the table, and how the times compare."""
    texts = _texts(source, prompt, length)
    ours, theirs = Clock(), Clock()
    new = source.generate(texts, count, ours.choose)
    ids = torch.tensor([[token.id for token in texts.tokens]])
    found = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=count,
        do_sample=False,
        num_beams=1,
        logits_processor=transformers.LogitsProcessorList([Marking(theirs)]),
    )[0].tolist()
    same = list(new) == found[len(texts.target or texts.tokens) :]
    (wall, cpu), (wall_there, cpu_there) = ours.per_token, theirs.per_token
    wall_ratio, cpu_ratio = wall / wall_there, cpu / cpu_there
    print(
        f"| {prompt[:20]!r} | {'yes' if same else 'NO'} | {wall:.4f} | {wall_ratio:.2f} | {cpu:.4f} | "
        f"{cpu_ratio:.2f} | {_apart(source, texts, count):.1e} |"
    )
    return wall_ratio, cpu_ratio


def _texts(source: Checkpoint, prompt: str, length: int) -> Texts:
    tokens = source.tokens(prompt, None)
    while len(tokens) < length:
        prompt = f"{prompt} {prompt}"
        tokens = source.tokens(prompt, None)
    return Texts(tokens, source.target_tokens("")[:1] if source.has_decoder else ())


def _apart(source: Checkpoint, texts: Texts, count: int) -> float:
    """The largest difference between the rows of the last layer, one by one and in one pass."""
    kind = Kind.DECODER if source.has_decoder else Kind.SELF
    layer, clock = source.kinds[kind].layers[-1], Clock()
    new = source.generate(texts, count, clock.choose, (kind, layer))
    writing = source.writing(texts, "")
    for index in new:
        writing.add(index)
    whole = Texts(texts.tokens, writing.tokens) if source.has_decoder else Texts(writing.tokens)
    (attention,) = source.attentions(whole, kind, [layer])
    first = len(texts.target or texts.tokens) - 1
    rows = attention.at(range(first, first + len(clock.rows)))
    weights = to_numpy(rows.steps(range(rows.heads), [Step.WEIGHTS])[Step.WEIGHTS])
    pairs = ((weights[:, number, : row.shape[-1]], row) for number, row in enumerate(clock.rows))
    return max(float(np.abs(one - other).max()) for one, other in pairs)


if __name__ == "__main__":
    main()
