"""Runs a survey: documents in batches, workers that measure them, totals in the order of the documents."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from time import monotonic

from attn_cli.record import record
from attn_cli.survey.batches import batches_of
from attn_cli.survey.merging import of_documents
from attn_cli.survey.records import Document, Layout, Unread
from attn_cli.survey.running.checkpoint import Checkpoint
from attn_cli.survey.running.pool import Task, Workers
from attn_cli.survey.totals import Totals

_SAVE_EVERY = 2.0  # seconds: batches since then are in files of their own


@record(frozen=True, slots=True)
class Progress:
    """How far a survey is."""

    documents: int  # that were read, with those that could not be measured
    tokens: int
    measured_now: int  # of the tokens, those that this process saw measured
    unread: Sequence[Unread] = ()  # the first documents that could not be read or measured


@record(frozen=True, slots=True, eq=False)
class Surveyed:
    """What a survey found."""

    totals: Totals
    unread: list[Unread]  # the first of them
    reasons: Mapping[str, int]  # how many documents were not measured, and why
    documents: int
    tokens: int

    @property
    def unread_count(self) -> int:
        """How many documents were not measured."""
        return sum(self.reasons.values())


def run_survey(
    documents: Iterable[Document | Unread],
    layout: Layout,
    workers: Workers,
    checkpoint: Checkpoint,
    examples: int,
    progress: Callable[[Progress], None],
    most_unread: int = 1000,
) -> Surveyed:
    """Measure all documents that the checkpoint does not have, and sum up in the order of the documents.

    `layout` is that of the model; `examples`: how many rows are kept of each head and pattern; at most
    `most_unread` of the documents that could not be read are remembered, all are counted.

    Raises:
        AttnError: a worker cannot go on, or a file of the checkpoint is damaged.
        OSError: the disk is full.
    """
    run = _Run(layout, checkpoint, examples, most_unread)
    for number in workers.run(run.tasks(documents)):
        run.add(number)
        progress(Progress(run.documents, run.tokens, run.measured_now, run.unread))
    run.finish()
    return Surveyed(run.totals, run.unread, run.reasons, run.documents, run.tokens)


class _Run:
    """The sums so far, and which batch is next."""

    def __init__(self, layout: Layout, checkpoint: Checkpoint, examples: int, most_unread: int) -> None:
        self._checkpoint, self._most_unread = checkpoint, most_unread
        self.totals, self.unread = Totals(layout, examples), list[Unread]()
        self.reasons = Counter[str]()
        self.documents = self.tokens = self.measured_now = self._next = 0
        self._saved, self._when = 0, monotonic()
        stored = checkpoint.totals()
        if stored is not None:
            arrays, about = stored
            self.totals.restore(arrays, about["totals"])
            self.unread = [Unread(**one) for one in about["unread"]]
            self.reasons = Counter(about["reasons"])
            self.documents, self.tokens = about["documents"], about["tokens"]
            self._next = self._saved = about["next"]

    def tasks(self, documents: Iterable[Document | Unread]) -> Iterator[Task]:
        """The batches that are not measured; those that are, are added when it is their turn."""
        for number, batch in enumerate(batches_of(documents)):
            if number < self._next:
                continue
            yield number, self._checkpoint.batch(number), batch

    def add(self, number: int) -> None:
        """Add the batch with this number, the next one."""
        result = self._checkpoint.read(number)
        for document in of_documents(result.measured):
            self.totals.add(document)
        self.reasons.update(_reason(one.why) for one in result.unread)
        room = self._most_unread - len(self.unread)
        self.unread += result.unread[: max(room, 0)]
        self.documents += result.documents
        self.tokens += result.tokens
        self.measured_now += result.tokens
        self._next = number + 1
        if monotonic() - self._when >= _SAVE_EVERY:
            self.finish()

    def finish(self) -> None:
        """Save the sums."""
        arrays, totals = self.totals.state()
        about = {
            "next": self._next,
            "documents": self.documents,
            "tokens": self.tokens,
            "totals": totals,
            "unread": [asdict(one) for one in self.unread],
            "reasons": self.reasons,
        }
        self._checkpoint.save_totals((arrays, about), self._saved, self._next)
        self._saved, self._when = self._next, monotonic()


def _reason(why: str) -> str:
    """Why a document was not measured, without what is particular to it."""
    return re.sub(r"(?<![\w-])\d[\d,]*", "N", why.partition(":")[0])
