"""How a text is to go on, as it is asked for: by how many tokens, and how they are drawn."""

import math
from typing import TYPE_CHECKING, Any

from attn_cli.errors import UsageError
from attn_cli.record import record

if TYPE_CHECKING:
    from attn_cli.models.generation.sampling import Sampling
    from attn_cli.reading.reading import Generation


@record(frozen=True, slots=True)
class Drawing:
    """How tokens are drawn; None: it was not said, and if nothing was, the likeliest is taken."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None


def requested_continuation(
    tokens: int | None, drawing: Drawing, *, target: str | None = None, pair: str | None = None
) -> "Generation | None":
    """How a text with this decoder's text and second segment is to go on; None: it is read as it is.

    Raises:
        UsageError: an option has no use, or its value none.
    """
    if tokens is None:
        for option, value in {"--temperature": drawing.temperature, "--top-p": drawing.top_p}.items():
            if value is not None:
                raise UsageError(f"{option} applies only with --generate", f"--generate 20 {option} {value}")
        return None
    if tokens < 1:
        raise UsageError(f"--generate is {tokens}, which is not at least 1", "--generate 20")
    for option, text in {"--target": target, "--pair": pair}.items():
        if text is not None:
            problem = f"--generate and {option} exclude each other: "
            why = "the model writes the decoder's text" if option == "--target" else "a pair does not go on"
            raise UsageError(problem + why, f"leave out {option}, or --generate")
    from attn_cli.reading.reading import Generation  # NumPy: 0.1 s

    return Generation(tokens, _sampling(drawing))


def check_seed(tokens: int | None, seed: int | None) -> None:
    """Raise `UsageError` for a seed of tokens that are not drawn, since none are written."""
    if seed is not None and tokens is None:
        problem = "--seed applies only to tokens that are drawn, with --generate and --temperature"
        raise UsageError(problem, f"--generate 20 --temperature 0.8 --seed {seed}")


def _sampling(drawing: Drawing) -> "Sampling | None":
    """How tokens are drawn; None: the likeliest is taken.

    Raises:
        UsageError: a number is out of range, or --seed has no use.
    """
    temperature, top_p, seed = drawing.temperature, drawing.top_p, drawing.seed
    if temperature is not None and not 0 < temperature < math.inf:
        problem = f"--temperature is {temperature:g}, which is not a number greater than 0"
        raise UsageError(problem, "--temperature 0.7, or leave it out for the likeliest token each time")
    if top_p is not None and not 0 < top_p <= 1:
        problem = f"--top-p is {top_p:g}, which is not greater than 0 and at most 1"
        raise UsageError(problem, "--top-p 0.9")
    if temperature is None and top_p is None:
        if seed is not None:
            problem = "--seed has no effect on --generate alone: the likeliest token is taken each time"
            raise UsageError(problem, f"--temperature 1 --seed {seed}, or leave out --seed")
        return None
    from attn_cli.models.generation.sampling import Sampling

    whole: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "seed": seed}
    return Sampling(**{name: value for name, value in whole.items() if value is not None})
