"""A run of about a second: two layers on a story that repeats a few sentences."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attn_cli.training import run as runs
from attn_cli.training.network import Network, config_of
from attn_cli.training.recipe import Recipe, TrainingRequest
from attn_cli.vocabulary import DType

SENTENCES = (
    "The cat sat on the mat and looked at the dog.",
    "The dog looked at the cat, and the cat looked away.",
    '"Where is my hat?" said the man; nobody knew where it was.',
    "It was under the mat, where the dog had put it.",
)
OPTIONS = (
    *("--layers", "2", "--head-count", "2", "--width", "16", "--vocabulary", "300"),
    *("--context", "32", "--batch", "2", "--dtype", "float32"),
)


def story(path: Path, sentences: int = 120, seed: int = 0) -> Path:
    """A text file with this many sentences."""
    draw = np.random.default_rng(seed)
    text = " ".join(SENTENCES[place] for place in draw.integers(0, len(SENTENCES), sentences))
    path.write_text(f"{text}\n", encoding="utf-8")
    return path


RECIPE = Recipe(
    layers=2,
    heads=2,
    width=16,
    vocabulary=300,
    context=32,
    batch=2,
    rate=3e-3,
    repeats=0.0,
    seed=0,
    products=DType.FLOAT32,
    steps=6,
)
"""The recipe of `OPTIONS`."""


def recipe(**changes: Any) -> Recipe:
    """`RECIPE` with some values changed."""
    return replace(RECIPE, **changes)


def network(seed: int = 0, vocabulary: int = 300) -> Network:
    """A new model of `recipe`."""
    return Network(config_of(recipe(), vocabulary), seed, "cpu")


def prepared(directory: Path, text: Path, **changes: Any) -> runs.Run:
    """A newly started run of `recipe` on `text`."""
    order = TrainingRequest((text,), None, recipe(**changes))
    return runs.begin(directory, order, lambda _: None, force=False)
