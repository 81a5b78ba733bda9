"""Compares heads with the reference: a sentence to print, or an error if they differ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attn_cli.errors import DifferenceError

if TYPE_CHECKING:
    from attn_cli.analysis.verification import Verdict
    from attn_cli.grid import Head
    from attn_cli.reading.reading import Reading


def verdict_on(reading: "Reading", heads: "Sequence[Head]") -> "Verdict":
    """Compare the layers of these heads with the reference.

    Raises:
        AttnError: there is no reference for the model.
    """
    from attn_cli.reading.verify import verify_readings  # transformers: 5 s

    return verify_readings([reading], only_kind=reading.kind, only_layers={head.layer for head in heads})


def sentence(verdict: "Verdict") -> str:
    """The largest difference, and the tolerance."""
    explained = f"{verdict.tolerance.value:.1e} ({verdict.tolerance.reason})"
    return f"largest difference: {verdict.largest:.1e}; rounding explains up to {explained}"


def check(verdict: "Verdict") -> None:
    """Check that no layer differs by more than the tolerance.

    Raises:
        DifferenceError: one does.
    """
    if not verdict.passed:
        first = next(
            difference for difference in verdict.layers if not difference.largest <= verdict.tolerance.value
        )
        problem = (
            f"{first.kind} layer {first.layer} differs from eager attention by {first.largest:.1e}, "
            f"more than the {verdict.tolerance.value:.1e} that rounding explains"
        )
        raise DifferenceError(
            problem, "do not trust these numbers; please report it with the name of the model"
        )
