"""A training run and its directory: how it is started, resumed and advanced.

`DIR/attn-training` holds the recipe, the tokens and the state during the run. A new model has no
`config.json` until it is finished, so it cannot be loaded before; an older model that `--force` replaces
stays until then.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tokenizers

from attn_cli.errors import AttnError, UsageError
from attn_cli.models.files.config import read_json
from attn_cli.models.files.safe_paths import LARGEST_TEXT, checked_path
from attn_cli.models.hub.directories import UNFINISHED
from attn_cli.record import record
from attn_cli.training import corpus, loop
from attn_cli.training import tokenizer as bpe
from attn_cli.training.atomic_write import written_atomically
from attn_cli.training.corpus import START, Ids, TextFile
from attn_cli.training.loop import Progress
from attn_cli.training.network import Network, config_of
from attn_cli.training.recipe import Recipe, TrainingRequest
from attn_cli.training.saved_state import RunPosition

_HELD_OUT = 20  # the last twentieth is held out if no file is
_MOST_HELD_OUT = 500_000  # tokens
_LEAST_HELD_OUT = 32
_SAMPLE = 10_000  # tokens
_LEAST_PIECES = 257  # the bytes and the start
RECORD = "run.json"
_ADDED = {"is_brief": False}  # settings that recipes of older versions lack, with their values


@record(frozen=True, slots=True)
class Run:
    """A run whose text is prepared: memory-mapped tokens, and the tokenizer."""

    directory: Path
    order: TrainingRequest
    texts: tuple[TextFile, ...]
    held_out_text: TextFile | None
    tokenizer: tokenizers.Tokenizer
    train: Ids
    held_out: Ids

    @property
    def scratch(self) -> Path:
        """The directory of everything that is not the model; a link to another place is refused."""
        return _scratch(self.directory)

    @property
    def characters_per_token(self) -> float:
        """The mean length of a token at the beginning of the held-out text."""
        ids = self.held_out[:_SAMPLE].tolist()
        return max(1, len(self.tokenizer.decode(ids))) / len(ids)

    def network(self, device: str) -> Network:
        """A newly initialised model of the recipe."""
        recipe = self.order.recipe
        config = config_of(recipe, self.tokenizer.get_vocab_size())
        return Network(config, recipe.seed, device, is_brief=recipe.is_brief)


def begin(directory: Path, order: TrainingRequest, said: Callable[[str], None], *, force: bool) -> Run:
    """Start a run in `directory`, which is created, and removed again if the text cannot be used.

    With `force`, an unfinished run there is deleted in any case.

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
    """Create the scratch directory of a run, deleting its old content.

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
    """The run in `directory`, if it was started with the same recipe and text.

    Raises:
        AttnError: there is none, it is damaged, or a text cannot be read.
        UsageError: it was started with other settings.
    """
    path = checked_path(_scratch(directory), RECORD, LARGEST_TEXT)
    if not path.is_file():
        raise AttnError(f"{directory} has no unfinished run", "leave out --resume to start one")
    record = read_json(path)
    texts, held_out = _described(order)
    now = json.loads(json.dumps(_record(order, texts, held_out)))
    _check_same(directory, now, record)
    return _ready(directory, order, texts, held_out, said)


def was_started_brief(directory: Path) -> bool | None:
    """Whether the unfinished run in `directory` is a brief one; None if there is none that can be read."""
    try:
        recipe = read_json(checked_path(_scratch(directory), RECORD, LARGEST_TEXT)).get("recipe")
    except AttnError:
        return None  # `resume` says why
    return bool(recipe.get("is_brief", _ADDED["is_brief"])) if isinstance(recipe, dict) else None


def advance(
    run: Run, network: Network, seen: Callable[[Progress], None], reserved: float = 0.0
) -> RunPosition:
    """Train `network` from the current position to the end of the recipe; see `loop.train`."""
    return loop.train(network, run.order.recipe, run.train, run.held_out, run.scratch, seen, reserved)


def _scratch(directory: Path) -> Path:
    """The directory of everything that is not the model; a link to another place is refused."""
    return checked_path(directory, UNFINISHED)


def _check_free(directory: Path, *, force: bool) -> bool:
    """Whether `directory` exists; raises `AttnError` if a run would damage its content."""
    scratch = _scratch(directory)
    if (scratch / RECORD).exists():
        if not force:
            problem = f"{directory} has an unfinished run"
            raise AttnError(problem, "--resume to continue it, --force to start over")
    elif scratch.exists() and (not scratch.is_dir() or any(scratch.iterdir())):
        raise AttnError(f"{scratch} exists but is not a training run", "move it, or choose another directory")
    if not directory.exists():
        return False
    if not directory.is_dir():
        raise AttnError(f"not a directory: {directory}", "another name")
    if any(directory.iterdir()) and not force:
        hint = "another name, or --force to write a model into it"
        raise AttnError(f"{directory} already exists", hint)
    return True


def _described(order: TrainingRequest) -> tuple[tuple[TextFile, ...], TextFile | None]:
    """The checksum and length of every text."""
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
            problem = f"the run in {directory} was started with a different {what}"
            raise UsageError(problem, "the same one, or --force to start over")


def _ready(
    directory: Path,
    order: TrainingRequest,
    texts: tuple[TextFile, ...],
    held_out_text: TextFile | None,
    said: Callable[[str], None],
) -> Run:
    """The run with its tokenizer and tokens, which are created if they do not exist yet."""
    scratch = _scratch(directory)
    tokenizer = _learned_tokenizer(checked_path(scratch, "tokenizer.json", LARGEST_TEXT), order, texts, said)
    train = _tokens(checked_path(scratch, "train.bin"), order.files, tokenizer, said)
    if order.held_out is None:
        size = min(train.size // _HELD_OUT, _MOST_HELD_OUT)
        train, held_out = train[: train.size - size], train[train.size - size :]
    else:
        held_out = _tokens(checked_path(scratch, "held_out.bin"), [order.held_out], tokenizer, said)[
            :_MOST_HELD_OUT
        ]
    held_out = held_out[held_out != START]  # the start of a file cannot be predicted
    _check_length(train, held_out, order.recipe)
    return Run(directory, order, texts, held_out_text, tokenizer, train, held_out)


def _learned_tokenizer(
    path: Path, order: TrainingRequest, texts: tuple[TextFile, ...], said: Callable[[str], None]
) -> tokenizers.Tokenizer:
    """The tokenizer in the file `path`, trained on the texts if it does not exist yet."""
    if not path.exists():
        said("training the tokenizer")
        characters = sum(text.characters for text in texts)
        learned = bpe.learn(order.files, characters, order.recipe.vocabulary)
        with written_atomically(path) as temporary:
            temporary.write_text(learned.to_str(), encoding="utf-8")
    return _read_tokenizer(path, order.recipe.vocabulary)


def _read_tokenizer(path: Path, most: int) -> tokenizers.Tokenizer:
    """The tokenizer of a run, which has at most so many pieces.

    Raises:
        AttnError: its file is damaged.
    """
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the library raises plain `Exception`; its panics are not even that
        raise AttnError(f"{path} is damaged: {error}", "--force to start over") from error
    if (pieces := tokenizer.get_vocab_size()) > max(most, _LEAST_PIECES):
        problem = f"{path} is damaged: it has {pieces:,} pieces, and the run at most {most:,}"
        raise AttnError(problem, "--force to start over")
    return tokenizer


def _tokens(
    path: Path, files: Sequence[Path], tokenizer: tokenizers.Tokenizer, said: Callable[[str], None]
) -> Ids:
    """The ids of the files' text, mapped into memory."""
    if not path.exists():
        said(f"tokenizing {', '.join(file.name for file in files)}")
        corpus.encode(files, tokenizer, path)
    return corpus.mapped(path, tokenizer.get_vocab_size())


def _check_length(train: Ids, held_out: Ids, recipe: Recipe) -> None:
    """Raise `AttnError` if the text does not fill the rows of one step."""
    needed = (recipe.batch + 1) * recipe.context
    if train.size < needed:
        rows = f"a step needs {recipe.batch} rows of {recipe.context}"
        problem = f"the text is too short: it has {train.size} tokens, and {rows}"
        raise AttnError(problem, "a longer text, or a smaller --context or --batch")
    if held_out.size < _LEAST_HELD_OUT:
        problem = f"the held-out text is too short: {held_out.size} tokens, at least {_LEAST_HELD_OUT} needed"
        raise AttnError(problem, "a longer text: --held-out FILE")
