"""Effects in words and numbers: what is predicted, the sum beside the logit, the strongest looks."""

from collections.abc import Callable, Iterator, Mapping

from attn_cli.answers.effects import DirectEffects, Effects, HeadChange, HeadPlace
from attn_cli.answers.prediction import Prediction
from attn_cli.safe_text import label
from attn_cli.vocabulary import Kind

Named = Callable[[Kind, int], str]
"""The token at a position of the side that keys of this kind are on, with its position."""


def name_of(place: HeadPlace) -> str:
    """`2.5`, or `cross 2.5` for cross-attention."""
    kind, layer, head = place
    return f"{'cross ' if kind is Kind.CROSS else ''}{layer}.{head}"


def quoted(text: str) -> str:
    """A token as it stands in a sentence: with the space before it."""
    return f'"{label(text)}"' if not text.startswith(" ") else f'" {label(text[1:])}"'


def predictions_table(effects: Effects, digits: int) -> tuple[list[str], list[list[str]]]:
    """The names and the rows of a table of the likeliest tokens, and of those that are asked about."""
    asked = [effects.target, *([] if effects.against is None else [effects.against])]
    known = {each.id for each in effects.predictions}
    listed = [*effects.predictions, *(each for each in asked if each.id not in known)]
    names = ["token", "probability", "logit"]
    return names, [_row(each, digits) for each in listed]


def _row(each: Prediction, digits: int) -> list[str]:
    return [quoted(each.text), f"{each.probability:.{digits}f}", f"{each.logit:.{max(2, digits)}f}"]


def what_is_predicted(effects: Effects) -> str:
    """Which logits the effects are on, as a phrase."""
    target = f"the logit of {quoted(effects.target.text)}"
    return target if effects.against is None else f"{target} less that of {quoted(effects.against.text)}"


def what_is_split(effects: Effects) -> str:
    """What direct effects add up to, as a phrase."""
    less = ", less the vocabulary's mean" if effects.against is None else ""
    return f"{what_is_predicted(effects)}{less}"


def sums(effects: Effects, direct: DirectEffects) -> Iterator[str]:
    """The sum of all effects beside what the model computed."""
    parts = {
        "heads": sum(direct.heads.values()),
        "feed-forward": sum(direct.feed_forward.values()),
        "embedding": direct.embedding,
        "biases of W^O": direct.bias,
        "constant": direct.constant,
        **({"mean of the vocabulary": direct.mean} if effects.against is None else {}),
    }
    added = " + ".join(f"{name} {value:.4f}" for name, value in parts.items())
    what = "logit" if effects.against is None else "difference of the logits"
    before = " before the soft cap" if direct.softcap is not None else ""
    yield added
    total, expected = f"{direct.total:.4f}", f"{direct.expected:.4f}"
    yield f"sum {total} {'=' if total == expected else '≈'} {what}{before} {expected}"


def look_phrases(effects: Effects, named: Named, query: str) -> Iterator[list[str]]:
    """What the strongest looks do, as sentences in phrases: a line may end between two, but in no token."""
    over = [] if effects.against is None else ["over", quoted(effects.against.text)]
    for look in effects.looks:
        key = f"{named(look.head[0], look.key)},"
        looks = [*name_of(look.head).split(" "), "looks", "from", query, "at", key]
        adds = ["weight", f"{look.weight:.2f},", "and", "adds", _signed(look.effect, 2)]
        yield [*looks, *adds, "to", quoted(effects.target.text), *over]


def heads_table(effects: Effects, count: int, digits: int) -> tuple[list[str], list[list[str]]]:
    """The names and the rows of a table of heads with the largest effects."""
    direct = {} if effects.direct is None else effects.direct.heads
    changes = {} if effects.ablation is None else {each.head: each for each in effects.ablation.heads}
    names = ["head", "pattern", *(["direct"] if direct else [])]
    names += ["logit\nchange", "probability\nchange", "KL"] if changes else []
    order = sorted(effects.places, key=lambda place: -_size(place, direct, changes))
    rows = [_head_row(effects, place, direct, changes, digits) for place in order[: count or None]]
    return names, rows


def _size(
    place: HeadPlace, direct: Mapping[HeadPlace, float], changes: Mapping[HeadPlace, HeadChange]
) -> float:
    of_change = abs(changes[place].logit) if place in changes else 0.0
    return max(abs(direct.get(place, 0.0)), of_change)


def _head_row(
    effects: Effects,
    place: HeadPlace,
    direct: Mapping[HeadPlace, float],
    changes: Mapping[HeadPlace, HeadChange],
    digits: int,
) -> list[str]:
    pattern, change = effects.patterns.get(place), changes.get(place)
    row = [name_of(place), "" if pattern is None else str(pattern)]
    row += [_signed(direct[place], digits)] if direct else []
    if not changes:
        return row
    numbers = ["·"] * 3 if change is None else change_cells(change, digits)
    return [*row, *numbers]


def change_cells(change: HeadChange, digits: int) -> list[str]:
    """The three numbers of an ablation."""
    changed = [_signed(number, digits) for number in (change.logit, change.probability)]
    return [*changed, f"{change.divergence:.{digits}f}"]


def _signed(number: float, digits: int) -> str:
    """The number with its sign; 0 has none."""
    text = f"{number:+.{digits}f}"
    return text if float(text) else text[1:]
