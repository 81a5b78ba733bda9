"""The training loop: a batch of rows, an optimizer step, and regular evaluation on held-out text."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType

import torch

from attn_cli.errors import AttnError
from attn_cli.interrupts import note
from attn_cli.kept_memory import keep_freed_memory
from attn_cli.record import record
from attn_cli.training import saved_state
from attn_cli.training.corpus import Ids, TrainingRows, windows
from attn_cli.training.network import Network
from attn_cli.training.optimizer.gradient import StepGradient, mixed_precision, threads_on
from attn_cli.training.optimizer.muon import MuonAdamW
from attn_cli.training.recipe import Recipe
from attn_cli.training.saved_state import RunPosition

_DECAY = 0.1  # weight decay of matrices
_CLIP = 1.0  # the maximum norm of a step's gradient
_SAVE_EVERY = 60.0  # seconds
_LOOK_EVERY = 1 / 40  # of the run
_LOOK_AT = 16  # held-out rows


@record(frozen=True, slots=True)
class Progress:
    """The progress of a run after a step."""

    mark: RunPosition
    share: float  # of the run, 0 to 1
    loss: float  # of this step, in nats per token
    held_out: float | None  # nats per token, if it was just evaluated


def train(
    network: Network,
    recipe: Recipe,
    ids: Ids,
    held_out: Ids,
    directory: Path,
    seen: Callable[[Progress], None],
    reserved: float = 0.0,
) -> RunPosition:
    """Train on rows of `ids` to the end of the recipe, from the state saved in `directory`.

    A step depends only on the recipe, its number, the weights and the optimizer's moments, so with --steps
    on a CPU a run that was killed ends with the same weights as an uninterrupted one. `seen` is called
    after every step. Of --minutes, `reserved` seconds are for the work before and after training.

    Raises:
        AttnError: the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C; the state was saved.
    """
    keep_freed_memory()
    optimizer = network.optimizer(_DECAY)
    mark = saved_state.load(directory, network, optimizer)
    saved = mark.seconds
    with _politely_interrupted() as is_interrupted, threads_on(network.device) as threads:
        gradient = StepGradient(network, recipe, threads)
        for progress in _steps(gradient, network, optimizer, recipe, ids, held_out, mark, reserved):
            seen(progress)
            mark = progress.mark
            is_to_stop = is_interrupted()
            if is_to_stop or progress.share >= 1 or mark.seconds > saved + _SAVE_EVERY:
                saved_state.save(directory, network, optimizer, mark)
                saved = mark.seconds
            if is_to_stop:
                raise KeyboardInterrupt
        if is_interrupted():  # while the last state was saved
            raise KeyboardInterrupt
    return mark


def _steps(
    gradient: StepGradient,
    network: Network,
    optimizer: MuonAdamW,
    recipe: Recipe,
    ids: Ids,
    held_out: Ids,
    mark: RunPosition,
    reserved: float,
) -> Iterator[Progress]:
    """The progress after every step, from `mark` to the end of the recipe."""
    begun = time.perf_counter() - mark.seconds
    while (before := recipe.share(mark.step, mark.seconds, reserved)) < 1:
        rows = _rows(recipe, ids, before, mark.step).to(network.device)
        loss = _step(gradient, network, optimizer, recipe, mark.step, before, rows)
        mark = RunPosition(mark.step + 1, time.perf_counter() - begun, mark.tokens + rows[:, 1:].numel())
        share = recipe.share(mark.step, mark.seconds, reserved)
        is_due = share >= 1 or mark.step == 1 or share // _LOOK_EVERY > before // _LOOK_EVERY
        yield Progress(mark, share, loss, _look(network, recipe, held_out) if is_due else None)


def _look(network: Network, recipe: Recipe, held_out: Ids) -> float:
    """Nats per token on a few fixed rows of held-out text."""
    every = max(network.context, held_out.size // _LOOK_AT)
    total, tokens = 0.0, 0
    with torch.no_grad(), mixed_precision(network, recipe):
        for row, _ in islice(windows(held_out, network.context, every), _LOOK_AT):
            total += network.losses(torch.from_numpy(row[None]).to(network.device)).sum().item()
            tokens += row.size - 1
    return total / tokens


def _step(
    gradient: StepGradient,
    network: Network,
    optimizer: MuonAdamW,
    recipe: Recipe,
    step: int,
    share: float,
    rows: torch.Tensor,
) -> float:
    """One optimizer step over `rows` (B, T + 1); returns the mean loss of its tokens, in nats.

    Raises:
        AttnError: the gradient is no longer finite; the weights are unchanged.
    """
    rate, first = recipe.rate_at(share), recipe.first_at(share, step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = gradient.add(rows, first)
    norm = torch.nn.utils.clip_grad_norm_(network.learning.values(), _CLIP)
    if not bool(torch.isfinite(norm)):
        problem = f"the loss is no longer finite at a learning rate of {rate:.2g}"
        raise AttnError(problem, f"a smaller rate: --rate {recipe.rate / 3:.1g} --force")
    optimizer.step()
    optimizer.zero_grad()
    return loss


def _rows(recipe: Recipe, ids: Ids, share: float, step: int) -> torch.Tensor:
    """(B, T + 1) the rows of one step, after this fraction of the run."""
    count, length = recipe.rows_at(share)
    return torch.from_numpy(TrainingRows(ids, length, recipe.seed, recipe.repeats).batch(step, count))


@contextmanager
def _politely_interrupted() -> Iterator[Callable[[], bool]]:
    """Delay the first Ctrl-C or `kill` to the end of a step, so that the state is saved; not the second."""
    pressed: list[int] = []

    def polite(number: int, _frame: FrameType | None) -> None:
        note(number)
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    try:
        before = {number: signal.signal(number, polite) for number in _ending()}
        signal.set_wakeup_fd(-1)  # training shuts down cleanly, however long that takes: see `interrupts`
    except ValueError:  # not the main thread, which alone receives signals
        yield lambda: False
        return
    try:
        yield lambda: bool(pressed)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ending() -> list[signal.Signals]:
    """The signals that end a process, without those that are ignored, as with nohup."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    known = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return [number for number in known if signal.getsignal(number) != signal.SIG_IGN]
