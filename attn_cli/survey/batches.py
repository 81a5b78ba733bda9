"""Documents in batches, by their order and length alone: whoever measures them, the batches are the same."""

from collections.abc import Iterable, Iterator

from attn_cli.survey.records import Batch, Document, Unread

_MOST_DOCUMENTS = 16  # so that the workers end together
_MOST_CHARACTERS = 1 << 14


def batches_of(documents: Iterable[Document | Unread]) -> Iterator[Batch]:
    """The documents in their order, at most 16 in a batch, and no more after 16,384 characters."""
    first, kept, characters = 0, list[Document | Unread](), 0
    for document in documents:
        kept.append(document)
        characters += len(document.text) if isinstance(document, Document) else 0
        if len(kept) >= _MOST_DOCUMENTS or characters >= _MOST_CHARACTERS:
            yield Batch(first, tuple(kept))
            first, kept, characters = first + len(kept), [], 0
    if kept:
        yield Batch(first, tuple(kept))
