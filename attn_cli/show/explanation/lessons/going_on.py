"""Commands that a lesson ends with."""

from collections.abc import Sequence

from attn_cli.vocabulary import Lesson


def same_row(base: Sequence[str], place: tuple[int, int], query: int, lesson: Lesson) -> tuple[str, ...]:
    """`attn explain` with another lesson for the same row; `base` names the text and the model."""
    layer, head = place
    chosen = ("-l", str(layer), "-H", str(head), "--query", str(query))
    return ("attn", "explain", *base, *chosen, "--lesson", lesson.value)
