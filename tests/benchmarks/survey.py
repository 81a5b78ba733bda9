"""Compares `attn survey`, which measures every head, with transformers' forward pass, which measures nothing.

    python -m tests.benchmarks.survey MODEL_DIRECTORY [--documents 500] [--workers 2] [--rounds 2]

The documents are parts of the sample texts, of 20 to 300 tokens. transformers' model (sdpa, float32) reads
them in batches of like length with padding, with as many threads as there are workers. Both run by turns:
ours is timed from the start of its processes, theirs from when its model is open, in tokens of documents per
second. CPU time is that of all processes.
"""

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

from attn_cli.models.source import SourceRequest
from attn_cli.survey.measuring import Surveyor
from attn_cli.survey.records import Document, SurveyRequest
from attn_cli.survey.running.checkpoint import Checkpoint
from attn_cli.survey.running.pool import Processes
from attn_cli.survey.running.run import run_survey

SHORTEST, LONGEST, SEED = 20, 300, 0
BATCH = 16  # documents that transformers reads at once
SAMPLES = Path(__file__).parents[2] / "sample_inputs"


def main() -> None:
    """Measure both by turns and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    request = SurveyRequest(SourceRequest(None if given.model == "storybook" else given.model, device="cpu"))
    surveyor = Surveyor(request, os.environ)
    documents = list(texts(surveyor, given.documents))
    directory = str(surveyor.source.paths[0])
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {given.documents} documents")
    ours, theirs = list[float](), list[float]()
    for _ in range(given.rounds):
        ours.append(surveyed(request, surveyor, documents, given.workers))
        theirs.append(forward(directory, documents, given.workers))
    print(f"survey {median(ours):,.0f} tokens/s, forward pass {median(theirs):,.0f}: ", end="")
    print(f"{median(ours) / median(theirs):.2f}")


def texts(surveyor: Surveyor, count: int) -> Iterator[Document]:
    """Parts of the samples that have so many tokens."""
    whole = " ".join(file.read_text("utf-8") for file in sorted(SAMPLES.glob("*.txt")))
    tokens = [token for token in surveyor.source.tokens(whole[:200_000], None) if token.end > token.start]
    draw, at = random.Random(SEED), 0  # noqa: S311  lengths, not keys
    for number in range(count):
        size = draw.randint(SHORTEST, LONGEST)
        if at + size >= len(tokens):
            at = 0
        yield Document("samples", number + 1, whole[tokens[at].start : tokens[at + size - 1].end])
        at += size


def surveyed(request: SurveyRequest, surveyor: Surveyor, documents: list[Document], workers: int) -> float:
    """Tokens per second of our workers."""
    place = Path(mkdtemp())
    checkpoint = Checkpoint.begin(place / "partial", {}, resumes=False, force=False, keeps_batches=False)

    processes, before, began = Processes(workers, request, os.environ), cpu_time(), time.perf_counter()
    found = run_survey(documents, surveyor.layout, processes, checkpoint, 5, lambda _: None)
    rate = found.tokens / (time.perf_counter() - began)
    shutil.rmtree(place)
    print(f"  survey: {found.tokens:,} tokens, {rate:,.0f} tokens/s, CPU {cpu_time() - before:.1f} s")
    return rate


def cpu_time() -> float:
    """Of the processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


FORWARD = """
import sys, time, torch, transformers
torch.set_num_threads(int(sys.argv[2]))
how = {"dtype": torch.float32, "attn_implementation": "sdpa"}
model = transformers.AutoModel.from_pretrained(sys.argv[1], **how).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
tokenizer.padding_side = "right"
texts = sorted(sys.stdin.read().split("\\0"), key=len)
read = 0
began = time.perf_counter()
with torch.inference_mode():
    for at in range(0, len(texts), int(sys.argv[3])):
        inputs = tokenizer(texts[at : at + int(sys.argv[3])], return_tensors="pt", padding=True)
        model(**{name: inputs[name] for name in ("input_ids", "attention_mask")}, use_cache=False)
        read += int(inputs["attention_mask"].sum())
print(read, time.perf_counter() - began, time.process_time())
"""


def forward(directory: str, documents: list[Document], threads: int) -> float:
    """Tokens per second of transformers' own forward pass."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORWARD, directory, str(threads), str(BATCH)],
        input="\0".join(document.text for document in documents),
        capture_output=True,
        text=True,
        check=True,
    )
    tokens, seconds, used = done.stdout.split()
    rate = int(tokens) / float(seconds)
    print(f"  forward pass: {int(tokens):,} tokens, {rate:,.0f} tokens/s, CPU {float(used):.1f} s")
    return rate


if __name__ == "__main__":
    main()
