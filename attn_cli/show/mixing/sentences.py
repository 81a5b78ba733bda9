"""Rollout and flow in words and numbers: a table of tokens, and what to know before trusting it."""

from collections.abc import Callable, Iterator

from attn_cli.answers.mixing import Mixing
from attn_cli.vocabulary import Kind

_LOST = 1e-3  # of a rollout: less is rounding
_DECIMALS = 3  # of the number that a remark warns with
_ALMOST = 1 - 0.5 * 10**-_DECIMALS  # would be printed as 1


def measures(mixing: Mixing) -> list[str]:
    """The names of the measures that were asked for."""
    return [name for name in ("rollout", "flow") if getattr(mixing, name) is not None]


def tokens_table(
    mixing: Mixing, named: Callable[[int], str], count: int, digits: int
) -> tuple[list[str], list[list[str]]]:
    """The names and the rows of a table of the tokens with the largest numbers; 0: of all."""
    columns = [array for array in (mixing.last_rollout, mixing.flow) if array is not None]
    order = sorted(range(len(columns[0])), key=lambda token: -columns[0][token])
    rows = [
        [named(token), *(f"{column[token]:.{digits}f}" for column in columns)]
        for token in order[: count or None]
    ]
    return ["token", *measures(mixing)], rows


def warnings(mixing: Mixing, named: Callable[[int], str]) -> Iterator[str]:
    """What to know of the numbers, with those of this text."""
    rollout = mixing.last_rollout
    if rollout is not None and _has_choice(mixing, len(rollout)):
        token = 0 if mixing.is_causal else int(rollout.argmax())
        on = (
            f"{_share(float(rollout[token]))} of the rollout of {named(mixing.position)} is on {named(token)}"
        )
        why = "; in a causal model each layer moves more of it to the first tokens, whatever the text says"
        yield f"{on}{why if mixing.is_causal else ''}"
    lost = 0.0 if rollout is None else 1 - float(rollout.sum())
    if lost > _LOST:
        yield f"learned sinks take {_share(lost)} of the rollout"
    if mixing.flow is not None and mixing.is_causal and _has_choice(mixing, len(mixing.flow)):
        first = f"flow to {named(0)} is {_share(float(mixing.flow[0]))}"
        yield f"{first}: in a causal model more paths lead to a token the earlier it stands"
    if mixing.kind is Kind.DECODER:
        yield "they are of the decoder's self-attention alone: what cross-attention brings is not among them"
    yield "rollout and flow know weights alone: not what values carry, nor what feed-forward blocks add"


def _has_choice(mixing: Mixing, tokens: int) -> bool:
    """Whether more than one token can reach the position."""
    return (mixing.position if mixing.is_causal else tokens - 1) > 0


def _share(number: float) -> str:
    """A share with its decimals, which is not rounded to 1."""
    return (
        f"more than {1 - 10**-_DECIMALS:.{_DECIMALS}f}"
        if _ALMOST <= number < 1
        else f"{number:.{_DECIMALS}f}"
    )
