"""The scale of weights in tables and pictures: as `--scale` and `--limits` say, or chosen for the heads."""

from collections.abc import Collection, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from attn_cli.commands.options import ScaleOptions
from attn_cli.console import World
from attn_cli.errors import UsageError
from attn_cli.safe_text import printable
from attn_cli.vocabulary import ScaleKind, Step

if TYPE_CHECKING:
    from attn_cli.grid import Head
    from attn_cli.show.scale import Limits, StepScale

_USUAL = "--limits 0,1"
_SHARES = frozenset({Step.WEIGHTS, Step.NORM_SHARES})  # what can be on a log scale, from 0 to 1
_ABOVE_ZERO = "--limits 0.001,1"


def check_scale(options: ScaleOptions, steps: Collection[Step] | None) -> "Limits | None":
    """The limits that were given, before anything is read; None: no limits were given.

    Raises:
        UsageError: they are no range, or the scale does not suit them or the steps.
    """
    limits = None if options.limits is None else _range(options.limits)
    if options.scale is not ScaleKind.LOG:
        return limits
    if steps and not _SHARES & set(steps):
        problem = f"--scale log is for weights: {', '.join(steps)} may be 0 or below"
        raise UsageError(problem, "-s weights, or --scale linear")
    if limits is not None and limits[0] <= 0:
        problem = f"--scale log needs limits above 0: --limits {printable(options.limits or '')} starts at "
        raise UsageError(problem + f"{limits[0]:g}", f"{_ABOVE_ZERO}, or --scale linear")
    return limits


def scale_of_tables(options: ScaleOptions, heads: "Sequence[Head]") -> "StepScale":
    """The scale of tables of the heads: linear unless a log scale is asked for, as cells have numbers."""
    limits = check_scale(options, None)
    return _scale(heads, limits, is_log=options.scale is ScaleKind.LOG)


def scale_of_pictures(world: World, options: ScaleOptions, heads: "Sequence[Head]") -> "StepScale":
    """The scale of pictures of the heads; a remark says so if it was chosen to be logarithmic."""
    from attn_cli.show.weight_spread import reason_for_log

    limits = check_scale(options, None)
    can_be_log = _have_weights(heads) and (limits is None or limits[0] > 0)
    if options.scale is not ScaleKind.AUTO or not can_be_log:
        return _scale(heads, limits, is_log=options.scale is ScaleKind.LOG)
    reason = reason_for_log(heads)
    if reason:
        world.note(f"weights are on a log scale, because {reason}; otherwise: --scale linear")
    return _scale(heads, limits, is_log=bool(reason))


def scale_of_texts(options: ScaleOptions) -> "StepScale | None":
    """The scale of shaded texts; None: it is chosen for their weights."""
    from attn_cli.show.scale import LINEAR_LIMITS, LOG_LIMITS, StepScale

    limits = check_scale(options, None)
    if options.scale is ScaleKind.AUTO and limits is None:
        return None
    is_log = options.scale is ScaleKind.LOG
    return StepScale(limits or (LOG_LIMITS if is_log else LINEAR_LIMITS), is_log)


def _have_weights(heads: "Sequence[Head]") -> bool:
    return any(Step.WEIGHTS in head.steps for head in heads)


def _scale(heads: "Sequence[Head]", limits: "Limits | None", *, is_log: bool) -> "StepScale":
    from attn_cli.show.scale import LINEAR_LIMITS, LOG_LIMITS, StepScale

    if not any(_SHARES & set(head.steps) for head in heads):
        return StepScale(of_others=limits)
    return StepScale(limits or (LOG_LIMITS if is_log else LINEAR_LIMITS), is_log)


def _range(typed: str) -> "Limits":
    """Two numbers, the lower one first.

    Raises:
        UsageError: they are not.
    """
    shown, parts = printable(typed), typed.split(",")
    numbers = [_number(part) for part in parts]
    if len(numbers) != 2 or None in numbers:  # noqa: PLR2004  LOW and HIGH
        raise UsageError(f"--limits takes two numbers, LOW,HIGH: '{shown}' was given", _USUAL)
    low, high = (number for number in numbers if number is not None)
    if low == high:
        raise UsageError(f"--limits {shown} leaves no range: both are {low:g}", _USUAL)
    if low > high:
        problem = f"--limits {shown} is the wrong way round: {low:g} is above {high:g}"
        raise UsageError(problem, f"--limits {parts[1].strip()},{parts[0].strip()}")
    if not isfinite(high - low):
        raise UsageError(f"--limits {shown} leaves too large a range for numbers", _USUAL)
    return low, high


def _number(text: str) -> float | None:
    """The number that was typed; None if it is none, or not finite."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) and "_" not in text else None
