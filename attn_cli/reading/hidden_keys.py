"""Which keys are hidden, from the options of a command: refused if nothing is left to see or to divide."""

from collections.abc import Collection, Sequence
from typing import TypeAlias

from attn_cli.core.hiding import Hiding
from attn_cli.errors import UsageError
from attn_cli.reading.reading import Reading
from attn_cli.reading.token_selection.items import quoted
from attn_cli.reading.window import Window
from attn_cli.vocabulary import Step

HiddenKeys: TypeAlias = Hiding
"""The keys that are out of sight."""


def choose_hidden_keys(reading: Reading, selections: Sequence[str], *, is_renormalized: bool) -> Hiding:
    """The keys that the selections hide.

    Raises:
        UsageError: a selection is malformed or out of range, or no key would be left in sight.
    """
    count = len(reading.keys)
    hidden = {key for typed in selections for key in reading.select_keys(typed, "key", "--hide")}
    if len(hidden) == count:
        typed = " ".join(f"--hide {quoted(selection)}" for selection in selections)
        keys = "the only key" if count == 1 else f"all {count:,} keys"
        otherwise = "a longer text" if count == 1 else "--hide first, or --hide special"
        raise UsageError(f"{typed} leaves nothing to see: it hides {keys}", otherwise)
    return Hiding(tuple(sorted(hidden)), is_renormalized)


def hide_keys(window: Window, hiding: Hiding, steps: Collection[Step]) -> Window:
    """The window without the columns of the hidden keys; `steps` are shown.

    Raises:
        UsageError: it has no other columns, no step has columns of keys, or there are no weights to divide.
    """
    if not any(step.is_pairwise or step.is_of_keys for step in steps):
        listed = _listed(steps)
        raise UsageError(
            f"--hide hides keys, and there are none in {listed}", "-s weights, or leave out --hide"
        )
    if hiding.is_renormalized and not {Step.WEIGHTS, Step.NORM_SHARES} & set(steps):
        problem = f"--renormalize divides weights, and only {_listed(steps)} would be shown"
        raise UsageError(problem, "-s weights, or leave out --renormalize")
    shown = window.without(hiding)
    if not shown.columns:
        problem = "--hide leaves nothing to see: it hides every key that --columns selects"
        raise UsageError(problem, "other --columns, or leave out --hide")
    return shown


def refuse_dividing() -> UsageError:
    """The error for `--renormalize` without `--hide`."""
    problem = "--renormalize divides rows by what --hide leaves of them: no key is hidden"
    return UsageError(problem, "--hide first --renormalize")


def _listed(steps: Collection[Step]) -> str:
    return " and ".join(filter(None, (", ".join([*steps][:-1]), [*steps][-1])))
