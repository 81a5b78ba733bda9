"""What is said about hidden keys: which they are, rows that are left empty, and keys worth hiding."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attn_cli.commands.results.output import counted
from attn_cli.safe_text import label

if TYPE_CHECKING:
    from attn_cli.grid import Head
    from attn_cli.models.tokens.token import Token
    from attn_cli.reading.hidden_keys import HiddenKeys
    from attn_cli.reading.reading import Reading

MOST_OF_IT = 0.5
"""A key that takes more than this of a head's weight leaves a picture of little else."""

_NAMED = 3  # tokens of a title; if there are more, they are counted


def remarks_on_keys(reading: "Reading", heads: "Sequence[Head]") -> Iterator[str]:
    """Rows in which nothing is left to divide; without hidden keys, the key that takes most of the heads."""
    yield from remarks_on_empty_rows(reading, heads)
    taken = [(head, head.favourite) for head in heads if head.favourite is not None]
    most = [(head, share) for head, share in taken if share.weight > MOST_OF_IT]
    if not most:
        return
    ((key, count),) = Counter(share.key for _, share in most).most_common(1)
    if count <= MOST_OF_IT * len(heads):
        return
    weights = [share.weight for _, share in most if share.key == key]
    name = named(reading.keys[key])
    if len(heads) == 1:
        takes = f"takes {weights[0]:.2f} of head {heads[0].name}'s weight"
    else:
        takes = f"takes more than half of the weight of {count:,} of {len(heads):,} heads"
    yield f"{name} {takes}; --hide {'first' if key == 0 else reading.keys[key].position} shows the rest"


def remarks_on_empty_rows(reading: "Reading", heads: "Sequence[Head]") -> Iterator[str]:
    """Rows in which nothing is left to divide."""
    empty = [(head.name, rows) for head in heads if (rows := _empty_rows(reading, head))]
    if empty:
        yield _nothing_left(empty, len(heads))


def rows_compared(head: "Head") -> str:
    """What hidden keys are in distances between rows, as the end of a phrase."""
    if head.hidden is None:
        return ""
    return " of the keys that are left" if head.hidden.is_renormalized else ", hidden keys as one more key"


def metrics_shown(hiding: "HiddenKeys | None", *, are_words: bool) -> Iterator[str]:
    """What the metrics of heads are taken of if words are shown or keys are hidden, as a sentence."""
    if hiding is None:
        if are_words:
            yield "metrics are those of words; patterns are those of tokens"
        return
    counts = (
        "of the keys that are left, renormalized"
        if hiding.is_renormalized
        else "with hidden keys as one more key"
    )
    rows, of_tokens = ("rows of words", " of tokens") if are_words else ("rows", "")
    yield f"metrics are those of the {rows} {counts}; patterns are those of whole rows{of_tokens}"


def hidden_keys_of(reading: "Reading", keys: Sequence[int]) -> str:
    """The hidden keys in words, for a title; empty if there are none."""
    many = f"{counted(len(keys), 'key')} hidden"
    return tokens_in_title("hidden", [reading.keys[key] for key in keys], many)


def tokens_in_title(word: str, tokens: "Sequence[Token]", many: str) -> str:
    """Some tokens after a word that says what they are, or `many` for more than a few; empty for none."""
    if not tokens:
        return ""
    return many if len(tokens) > _NAMED else f"{word}: " + ", ".join(map(named, tokens))


def hidden_keys_in(head: "Head") -> Sequence[int]:
    """The hidden keys of a head, if any."""
    return () if head.hidden is None else head.hidden.keys


def named(token: "Token") -> str:
    """A token in a sentence: its text and its position."""
    return f'"{label(token.text)}" ({token.position})'


def _empty_rows(reading: "Reading", head: "Head") -> list[int]:
    """The rows that cannot be renormalized: hidden keys, or a learned sink, have all of their weight."""
    if head.hidden is None or not head.hidden.is_renormalized:
        return []
    pairs = zip(head.queries, head.hidden.left, strict=True)
    return [reading.queries[row].position for row, left in pairs if not left > 0]


def _nothing_left(empty: "Sequence[tuple[str, Sequence[int]]]", heads: int) -> str:
    """The sentence about rows that have no weight left."""
    if len({tuple(rows) for _, rows in empty}) == 1 and len(empty) == heads:
        rows = empty[0][1]
        which = f"row {rows[0]}" if len(rows) == 1 else f"{len(rows):,} rows, the first of them {rows[0]},"
        verb = "has" if len(rows) == 1 else "have"
        where = "" if heads == 1 else f" in {'both' if heads == 2 else f'all {heads:,}'} heads"  # noqa: PLR2004
        return f"{which} {verb} no weight left to renormalize{where}, and {_is(len(rows))} masked"
    total = sum(len(rows) for _, rows in empty)
    example = f"{empty[0][1][0]} of {empty[0][0]}"
    is_one = total == 1
    verb = "has" if is_one else "have"
    which = (
        f"row {example}" if is_one else f"{total:,} rows of {counted(len(empty), 'head')} (such as {example})"
    )
    return f"{which} {verb} no weight left to renormalize, and {_is(total)} masked"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
