"""What a lesson is about: a text that a model reads, one head, one query, and perhaps one key."""

from attn_cli.reading.reading import Reading
from attn_cli.reading.selection import Place
from attn_cli.record import record


@record(frozen=True, slots=True)
class LessonRequest:
    """The row that a lesson looks at."""

    reading: Reading
    place: Place  # the layer and the head
    query: int  # the position of the query
    key: int  # the position of the key: the one asked for, or the one with the largest weight
