"""What is measured, with formulas and sources: the text of `attn heads --definitions`."""

from collections.abc import Iterator

from attn_cli.vocabulary import Distance, Metric, Pattern, Term

_LETTERS = (
    "α_ij is the weight of query i on key j, from 0, and t_i the token at position i. A row is a query; the "
    "value of a head is the mean over the rows that count."
)
_NAMES = (
    "A head is known for a pattern if its share is at least 0.4 (first-token: 0.5, broad: 0.75) on at least "
    "4 rows (first-token, broad: 8) of 4 different tokens. Only rows that are evidence count: rows in which "
    "the pattern can show, and in which a head that looks at its neighbours would not show it."
)
_PARTS: tuple[tuple[str, str, type[Term]], ...] = (
    ("Metrics", "", Metric),
    (
        "Patterns",
        _NAMES,
        Pattern,
    ),
    ("Distances", "Of attn compare: p and q are the same row of two heads.", Distance),
)


def definitions(width: int) -> str:
    """Every metric, pattern and distance: what it is, its formula, unit, rows and source."""
    return "\n".join(_lines(width))


def _lines(width: int) -> Iterator[str]:
    yield from _filled(_LETTERS, width)
    for heading, about, words in _PARTS:
        yield from ("", heading)
        yield from _filled(about, width)
        for word in words:
            yield from ("", f"{word} ({word.unit})")
            for line in defined(word):
                yield from _filled(line, width, "  ")


def defined(word: Term) -> Iterator[str]:
    """The lines of a definition."""
    yield f"{word.explanation}"
    yield f"= {word.formula}"
    yield f"rows: {word.rows}"
    if word.source:
        yield f"source: {word.source}"


def _filled(text: str, width: int, indent: str = "") -> list[str]:
    import textwrap

    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent * 2,
        break_long_words=False,
        break_on_hyphens=False,
    )
