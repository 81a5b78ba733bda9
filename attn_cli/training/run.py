"""A training run and its directory: how it is begun, resumed and advanced.

`DIR/attn-training` holds the recipe, the tokens and the state while it lasts. A new model has no
`config.json` before it is finished, so nothing takes it for one; an older one that `--force` replaces
stands until then.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.files.config import read_json
from attn_cli.record import record
from attn_cli.training import corpus, loop
from attn_cli.training import tokenizer as bpe
from attn_cli.training.atomic_write import written_atomically
from attn_cli.training.corpus import START, Ids, TextFile
from attn_cli.training.loop import Progress
from attn_cli.training.network import Network, config_of
from attn_cli.training.recipe import Recipe, TrainingRequest
from attn_cli.training.saved_state import RunPosition

_HELD_OUT = 20  # one part in so many, where no file is held out
_MOST_HELD_OUT = 500_000  # tokens
_LEAST_HELD_OUT = 32
_SAMPLE = 10_000  # tokens
RECORD = "run.json"
_ADDED = {"is_brief": False}  # what recipes of older versions lack, and how they trained


@record(frozen=True, slots=True)
class Run:
    """A run whose text is ready: tokens in mapped files, the tokenizer beside them."""

    directory: Path
    order: TrainingRequest
    texts: tuple[TextFile, ...]
    held_out_text: TextFile | None
    tokenizer: tokenizers.Tokenizer
    train: Ids
    held_out: Ids

    @property
    def scratch(self) -> Path:
        """Where everything lies that is not the model."""
        return _scratch(self.directory)

    @property
    def characters_per_token(self) -> float:
        """The mean length of a token, over the beginning of the held-out text."""
        ids = self.held_out[:_SAMPLE].tolist()
        return max(1, len(self.tokenizer.decode(ids))) / len(ids)

    def network(self, device: str) -> Network:
        """A fresh model of the recipe."""
        recipe = self.order.recipe
        config = config_of(recipe, self.tokenizer.get_vocab_size())
        return Network(config, recipe.seed, device, is_brief=recipe.is_brief)


def begin(directory: Path, order: TrainingRequest, said: Callable[[str], None], *, force: bool) -> Run:
    """A new run in `directory`, which is made; nothing is left of it where its text cannot be used.

    With `force` an unfinished run that was there is gone in any case.

    Raises:
        AttnError: the directory exists or cannot be written, a text cannot be read, or is too short.
    """
    was_there = _check_free(directory, force=force)
    texts, held_out = _described(order)
    scratch = _scratch(directory)
    _make_empty(scratch, directory)
    try:
        with written_atomically(scratch / RECORD) as temporary:
            temporary.write_text(json.dumps(_record(order, texts, held_out), indent=1), encoding="utf-8")
        return _ready(directory, order, texts, held_out, said)
    except AttnError:
        shutil.rmtree(scratch if was_there else directory)
        raise


def _make_empty(scratch: Path, directory: Path) -> None:
    """Make the scratch directory of a run; what was in it is gone.

    Raises:
        AttnError: `directory` cannot be written.
    """
    try:
        if scratch.exists():
            shutil.rmtree(scratch)
        scratch.mkdir(parents=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise AttnError(f"{directory} cannot be written: {reason}", "another directory") from error


def resume(directory: Path, order: TrainingRequest, said: Callable[[str], None]) -> Run:
    """The run in `directory`, if it was started with the same recipe and the same text.

    Raises:
        AttnError: there is none, it is damaged, or a text cannot be read.
        UsageError: it was begun otherwise.
    """
    path = _scratch(directory) / RECORD
    if not path.is_file():
        raise AttnError(f"no unfinished run is in {directory}", "leave out --resume to start one")
    record = read_json(path)
    texts, held_out = _described(order)
    now = json.loads(json.dumps(_record(order, texts, held_out)))
    _check_same(directory, now, record)
    return _ready(directory, order, texts, held_out, said)


def was_started_brief(directory: Path) -> bool | None:
    """Whether the unfinished run in `directory` is a brief one; None if there is none that can be read."""
    try:
        recipe = read_json(_scratch(directory) / RECORD).get("recipe")
    except AttnError:
        return None  # `resume` says why
    return bool(recipe.get("is_brief", _ADDED["is_brief"])) if isinstance(recipe, dict) else None


def advance(
    run: Run, network: Network, seen: Callable[[Progress], None], reserved: float = 0.0
) -> RunPosition:
    """Train `network` to the recipe's end, from where the run stands; `loop.train` says how."""
    return loop.train(network, run.order.recipe, run.train, run.held_out, run.scratch, seen, reserved)


def _scratch(directory: Path) -> Path:
    """Where everything lies that is not the model."""
    return directory / "attn-training"


def _check_free(directory: Path, *, force: bool) -> bool:
    """Whether `directory` is there; raises `AttnError` where a run would harm what it holds."""
    scratch = _scratch(directory)
    if (scratch / RECORD).exists():
        if not force:
            problem = f"an unfinished run is in {directory}"
            raise AttnError(problem, "--resume to continue it, --force to start over")
    elif scratch.exists() and (not scratch.is_dir() or any(scratch.iterdir())):
        raise AttnError(
            f"{scratch} is in the way and is not a run of attn", "move it, or choose another directory"
        )
    if not directory.exists():
        return False
    if not directory.is_dir():
        raise AttnError(f"not a directory: {directory}", "another name")
    if any(directory.iterdir()) and not force:
        hint = "another name, or --force to write a model into it"
        raise AttnError(f"the directory exists: {directory}", hint)
    return True


def _described(order: TrainingRequest) -> tuple[tuple[TextFile, ...], TextFile | None]:
    """Checksum and length of every text."""
    held_out = None if order.held_out is None else corpus.described(order.held_out)
    return tuple(corpus.described(path) for path in order.files), held_out


def _record(order: TrainingRequest, texts: Sequence[TextFile], held_out: TextFile | None) -> dict[str, Any]:
    """Everything that must be the same when the run is resumed."""
    return {
        "recipe": asdict(order.recipe),
        "texts": [asdict(text) for text in texts],
        "held_out": None if held_out is None else asdict(held_out),
        "store": order.store.value,
    }


def _check_same(directory: Path, now: dict[str, Any], before: dict[str, Any]) -> None:
    """Raise `UsageError` for the first setting that differs from the one the run was started with."""
    recipe = before.get("recipe")
    for name, value in now["recipe"].items():
        begun_with = recipe.get(name, _ADDED.get(name)) if isinstance(recipe, dict) else None
        if value != begun_with:
            problem = f"the run in {directory} was started with {name} {begun_with}, not {value}"
            raise UsageError(problem, "the same options, or --force to start over")
    for part, what in (("texts", "text"), ("held_out", "held-out text"), ("store", "--store")):
        if now[part] != before.get(part):
            problem = f"the run in {directory} was started with another {what}"
            raise UsageError(problem, "the same, or --force to start over")


def _ready(
    directory: Path,
    order: TrainingRequest,
    texts: tuple[TextFile, ...],
    held_out_text: TextFile | None,
    said: Callable[[str], None],
) -> Run:
    """The run with its tokenizer and its tokens, which are made where they are not there yet."""
    scratch = _scratch(directory)
    tokenizer = _learned_tokenizer(scratch / "tokenizer.json", order, texts, said)
    train = _tokens(scratch / "train.bin", order.files, tokenizer, said)
    if order.held_out is None:
        size = min(train.size // _HELD_OUT, _MOST_HELD_OUT)
        train, held_out = train[: train.size - size], train[train.size - size :]
    else:
        held_out = _tokens(scratch / "held_out.bin", [order.held_out], tokenizer, said)[:_MOST_HELD_OUT]
    held_out = held_out[held_out != START]  # nobody could guess where a file begins
    _check_length(train, held_out, order.recipe)
    return Run(directory, order, texts, held_out_text, tokenizer, train, held_out)


def _learned_tokenizer(
    path: Path, order: TrainingRequest, texts: tuple[TextFile, ...], said: Callable[[str], None]
) -> tokenizers.Tokenizer:
    """The tokenizer in the file `path`, which is learned from the texts where it is not there yet."""
    if not path.exists():
        said("learning the vocabulary")
        characters = sum(text.characters for text in texts)
        learned = bpe.learn(order.files, characters, order.recipe.vocabulary)
        with written_atomically(path) as temporary:
            temporary.write_text(learned.to_str(), encoding="utf-8")
    return _read_tokenizer(path)


def _read_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """The tokenizer of a run.

    Raises:
        AttnError: its file is damaged.
    """
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain ones
        raise AttnError(f"{path} is damaged: {error}", "--force to start over") from error


def _tokens(
    path: Path, files: Sequence[Path], tokenizer: tokenizers.Tokenizer, said: Callable[[str], None]
) -> Ids:
    """The ids of the files' text, mapped into memory."""
    if not path.exists():
        said(f"cutting {', '.join(file.name for file in files)} into tokens")
        corpus.encode(files, tokenizer, path)
    ids: Ids = np.memmap(path, corpus.id_type(tokenizer.get_vocab_size()), mode="r")
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
        raise AttnError(problem, "a longer one: --held-out FILE")
