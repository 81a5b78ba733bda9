"""Compares heads with the reference: a sentence to print, or an error if they differ."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attn_cli.commands.results.output import counted
from attn_cli.errors import DifferenceError
from attn_cli.vocabulary import Check

if TYPE_CHECKING:
    from attn_cli.analysis.verification import Failure, Verdict
    from attn_cli.grid import Head
    from attn_cli.reading.reading import Reading


def verdict_on(reading: "Reading", heads: "Sequence[Head]") -> "Verdict":
    """Compare the layers of these heads with the reference.

    Raises:
        AttnError: there is no reference for the model.
    """
    from attn_cli.reading.verification.verify import verify_readings  # transformers: 5 s

    return verify_readings(
        [reading.of_tokens], only_kind=reading.kind, only_layers={head.layer for head in heads}
    )


def sentence(verdict: "Verdict") -> str:
    """The largest difference beside its tolerance, and the reason for the tolerance."""
    largest = verdict.largest
    allowed = verdict.tolerances[largest.check]
    where = f"{largest.check.of_layer} of {largest.kind} layer {largest.layer}"
    explained = f"rounding explains up to {allowed.value:.1e} ({allowed.reason})"
    return f"largest difference: {largest.difference.value:.1e}, in the {where}; {explained}"


def remarks(verdict: "Verdict") -> "Iterator[str]":
    """What could not be compared, and what half precision does to the weights."""
    if verdict.untokenized:
        yield f"the token ids are not compared: {verdict.untokenized}"
    by_reason: dict[str, list[str]] = {}
    for layer in verdict.layers:
        for check, why in layer.unknown.items():
            names = by_reason.setdefault(why, [])
            if check.of_layer not in names:
                names.append(check.of_layer)
    for why, names in by_reason.items():
        yield f"not compared: {', '.join(names)}: {why}"
    if verdict.half is not None:
        both = f"{verdict.half.ours:.1e} in attn and {verdict.half.reference:.1e} in eager attention"
        yield f"compared in float32 with rounded weights; half precision moves a weight by {both}"


def check(verdict: "Verdict") -> None:
    """Check that every step is within its tolerance.

    Raises:
        DifferenceError: one is not.
    """
    failure = verdict.failure
    if failure is not None:
        what = f"the {failure.check.of_layer} of {failure.kind} layer {failure.layer}"
        raise DifferenceError(f"{what} {_apart(verdict, failure)}{_first(failure)}")
    if not verdict.passed and verdict.half is not None:
        problem = (
            f"half precision moves a weight by {verdict.half.ours:.1e}, "
            f"but that of eager attention only by {verdict.half.reference:.1e}"
        )
        raise DifferenceError(problem)


def _apart(verdict: "Verdict", failure: "Failure") -> str:
    """How far the step is from the reference's, and what rounding explains."""
    verb = "differ" if failure.check.is_plural else "differs"
    if failure.check.is_counted:
        count, place = failure.difference.value, "cell" if failure.check is Check.MASK else "head"
        places = "another shape" if count == float("inf") else counted(int(count), place)
        return f"{verb} from eager attention's in {places}"
    allowed = verdict.tolerances[failure.check].value
    far = f"{failure.difference.value:.1e}, more than the {allowed:.1e} that rounding explains"
    return f"{verb} from eager attention by {far}"


def _first(failure: "Failure") -> str:
    return f": first at {failure.place}" if failure.place else ""
