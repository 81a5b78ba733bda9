"""A run and the directory it lives in: begun, gone on with, ended as a model in Hugging Face layout.

`DIR/training` holds the recipe, the tokens and the state while it lasts; a model that is not finished
has no `config.json`, so nothing takes it for one.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from safetensors.torch import save_file

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.known import FILE, Known
from attn_cli.training import card, corpus, loop, measure, tokenizer
from attn_cli.training.corpus import Ids, Rows, TextFile
from attn_cli.training.loop import Progress
from attn_cli.training.measure import HeadReport, Surprise
from attn_cli.training.network import Network, config_of
from attn_cli.training.recipe import Recipe
from attn_cli.training.state import Mark
from attn_cli.vocabulary import DType, Kind

_HELD_OUT = 20  # one part in so many, where no file is held out
_MOST_HELD_OUT = 500_000  # tokens
_LEAST_HELD_OUT = 32


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be trained on what."""

    files: tuple[Path, ...]
    held_out: Path | None
    recipe: Recipe
    store: DType = DType.FLOAT32


@dataclass(frozen=True, slots=True)
class Run:
    """A run whose text is ready: tokens in mapped files, the tokenizer beside them."""

    directory: Path
    order: Order
    texts: tuple[TextFile, ...]
    held_out_text: TextFile | None
    tokenizer: tokenizers.Tokenizer
    train: Ids
    held_out: Ids

    @property
    def scratch(self) -> Path:
        """Where everything lies that is not the model."""
        return self.directory / "training"

    def network(self, device: str) -> Network:
        """A fresh model of the recipe."""
        recipe = self.order.recipe
        return Network(config_of(recipe, self.tokenizer.get_vocab_size()), recipe.seed, device)

    def rows(self) -> Rows:
        """The rows that it is trained on."""
        recipe = self.order.recipe
        return Rows(self.train, recipe.context, recipe.seed, recipe.repeats)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out of a run."""

    directory: Path
    config: dict[str, Any]
    parameters: int
    mark: Mark
    tokens: int  # that it was trained on, repetitions counted
    surprise: Surprise
    heads: tuple[HeadReport, ...]

    @property
    def known(self) -> list[Known]:
        """The heads that are known for something, the clearest first."""
        found = [
            Known(head.layer, head.head, head.pattern, head.score)
            for head in self.heads
            if head.pattern is not None
        ]
        return sorted(found, key=lambda known: -known.score)

    def as_json(self) -> dict[str, Any]:
        """All of it by name, as `attn.json` holds it."""
        return {
            "schema": 1,
            "parameters": self.parameters,
            "steps": self.mark.step,
            "seconds": round(self.mark.seconds, 1),
            "tokens": self.tokens,
            "bits_per_character": {
                each: getattr(self.surprise, each) for each in ("model", "bigram", "gzip")
            },
            "held_out": {each: getattr(self.surprise, each) for each in ("nats", "tokens", "characters")},
            "heads": [
                {
                    "kind": Kind.SELF,
                    "layer": head.layer,
                    "head": head.head,
                    "pattern": head.pattern,
                    "score": head.score,
                    "scores": head.scores,
                }
                for head in self.heads
            ],
        }


def begin(directory: Path, order: Order, said: Callable[[str], None], *, force: bool) -> Run:
    """A new run in `directory`, which is made; nothing is left of it where its text cannot be used.

    Raises:
        AttnError: the directory exists or cannot be written, a text cannot be read, or is too short.
    """
    if (directory / "training").exists() and not force:
        problem = f"an unfinished run is in {directory}"
        raise AttnError(problem, "--resume to go on with it, --force to begin anew")
    if directory.exists() and not directory.is_dir():
        raise AttnError(f"not a directory: {directory}", "another name")
    was_there = directory.is_dir()
    if was_there and any(directory.iterdir()) and not force:
        raise AttnError(
            f"the directory exists: {directory}", "another name, or --force to write a model into it"
        )
    texts, held_out = _described(order)
    try:
        shutil.rmtree(directory / "training", ignore_errors=True)
        (directory / "training").mkdir(parents=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise AttnError(f"{directory} cannot be written: {reason}", "another directory") from error
    try:
        _write(directory / "training" / "run.json", _record(order, texts, held_out))
        return _ready(directory, order, texts, held_out, said)
    except AttnError:
        shutil.rmtree(directory / "training" if was_there else directory)
        raise


def resume(directory: Path, order: Order, said: Callable[[str], None]) -> Run:
    """The run in `directory`, if it was begun with the same recipe and the same text.

    Raises:
        AttnError: there is none, or a text cannot be read.
        UsageError: it was begun otherwise.
    """
    try:
        record = json.loads((directory / "training" / "run.json").read_text("utf-8"))
    except FileNotFoundError as error:
        raise AttnError(f"no unfinished run is in {directory}", "leave --resume out to begin one") from error
    except (OSError, ValueError) as error:
        raise AttnError(f"the run in {directory} cannot be read: {error}", "--force to begin anew") from error
    texts, held_out = _described(order)
    now = json.loads(json.dumps(_record(order, texts, held_out)))
    _check_same(directory, now["recipe"], record.get("recipe", {}))
    for part, what in (("texts", "text"), ("held_out", "held-out text"), ("store", "--store")):
        if now[part] != record.get(part):
            raise UsageError(
                f"the run in {directory} was begun with another {what}", "the same, or --force to begin anew"
            )
    return _ready(directory, order, texts, held_out, said)


def advance(run: Run, network: Network, seen: Callable[[Progress], None]) -> Mark:
    """Train `network` to the recipe's end, from where the run stands; `loop.train` says how."""
    return loop.train(network, run.order.recipe, run.rows(), run.held_out, run.scratch, seen)


def finish(run: Run, network: Network, mark: Mark) -> Outcome:
    """Measure the model as it is stored, write it, and clear away what only the run needed."""
    network.round_to(run.order.store)
    recipe, text = run.order.recipe, run.tokenizer.decode(run.held_out.tolist())
    outcome = Outcome(
        directory=run.directory,
        config=config_of(recipe, run.tokenizer.get_vocab_size()),
        parameters=network.size,
        mark=mark,
        tokens=mark.step * recipe.batch * recipe.context,
        surprise=measure.surprise(network, run.held_out, run.train, text),
        heads=tuple(measure.heads(network, run.held_out, recipe.seed)),
    )
    _publish(run, network, outcome)
    return outcome


def _publish(run: Run, network: Network, outcome: Outcome) -> None:
    """Put the model's files in place, each whole, `config.json` last; then clear away the rest."""
    made = run.scratch / "model"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    tensors = network.parameters.tensors
    stored = {
        f"transformer.{name}": tensor.detach().cpu().to(getattr(torch, run.order.store.value)).contiguous()
        for name, tensor in tensors.items()
    }
    save_file(stored, made / "model.safetensors", {"format": "pt"})
    run.tokenizer.save(str(made / "tokenizer.json"))
    _write(made / "tokenizer_config.json", tokenizer.config(network.context))
    _write(made / FILE, outcome.as_json())
    (made / "README.md").write_text(
        card.text(run.order, run.texts, run.held_out_text, outcome), encoding="utf-8"
    )
    _write(made / "config.json", outcome.config)
    for name in sorted((file.name for file in made.iterdir()), key="config.json".__eq__):
        (made / name).replace(run.directory / name)
    shutil.rmtree(run.scratch)


def _described(order: Order) -> tuple[tuple[TextFile, ...], TextFile | None]:
    """Checksum and length of every text."""
    held_out = None if order.held_out is None else corpus.described(order.held_out)
    return tuple(corpus.described(path) for path in order.files), held_out


def _record(order: Order, texts: Sequence[TextFile], held_out: TextFile | None) -> dict[str, Any]:
    """What a run is, for whoever goes on with it."""
    return {
        "recipe": order.recipe.as_json(),
        "texts": [asdict(text) for text in texts],
        "held_out": None if held_out is None else asdict(held_out),
        "store": order.store.value,
    }


def _check_same(directory: Path, now: dict[str, Any], before: dict[str, Any]) -> None:
    """Raise `UsageError` for the first value of the recipe that another one was begun with."""
    for name, value in now.items():
        if value != before.get(name):
            problem = f"the run in {directory} was begun with {name} {before.get(name)}, not {value}"
            raise UsageError(problem, "the same options, or --force to begin anew")


def _ready(
    directory: Path,
    order: Order,
    texts: tuple[TextFile, ...],
    held_out_text: TextFile | None,
    said: Callable[[str], None],
) -> Run:
    """The run with its tokenizer and its tokens, which are made where they are not there yet."""
    scratch, recipe = directory / "training", order.recipe
    learned = scratch / "tokenizer.json"
    if not learned.exists():
        said("learning the vocabulary")
        found = tokenizer.learn(order.files, sum(text.characters for text in texts), recipe.vocabulary)
        found.save(str(learned.with_suffix(".part")))
        learned.with_suffix(".part").replace(learned)
    pieces = tokenizers.Tokenizer.from_file(str(learned))
    train = _tokens(scratch / "train.bin", order.files, pieces, said)
    if order.held_out is None:
        size = min(train.size // _HELD_OUT, _MOST_HELD_OUT)
        train, held_out = train[: train.size - size], train[train.size - size :]
    else:
        held_out = _tokens(scratch / "held_out.bin", [order.held_out], pieces, said)[1:]  # without START
    _check_length(train, held_out, recipe)
    return Run(directory, order, texts, held_out_text, pieces, train, held_out)


def _tokens(
    path: Path, files: Sequence[Path], pieces: tokenizers.Tokenizer, said: Callable[[str], None]
) -> Ids:
    """The ids of the files' text, mapped into memory."""
    if not path.exists():
        said(f"cutting {', '.join(file.name for file in files)} into tokens")
        corpus.encode(files, pieces, path)
    ids: Ids = np.memmap(path, corpus.id_type(pieces.get_vocab_size()), mode="r")
    return ids


def _check_length(train: Ids, held_out: Ids, recipe: Recipe) -> None:
    """Raise `AttnError` where the text does not fill the rows of one step."""
    needed = (recipe.batch + 1) * recipe.context
    if train.size < needed:
        rows = f"a step takes {recipe.batch} rows of {recipe.context}"
        problem = f"the text is too short: {train.size} tokens, and {rows}"
        raise AttnError(problem, "a longer text, or a smaller --context or --batch")
    if held_out.size < _LEAST_HELD_OUT:
        problem = f"the held-out text is too short: {held_out.size} tokens of at least {_LEAST_HELD_OUT}"
        raise AttnError(problem, "a longer one: --valid FILE")


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(f"{json.dumps(value, indent=1)}\n", encoding="utf-8")
