"""The registry of file writers: for each kind of file, suffix → function. A new format is one entry.

A writer is imported when it is used; this module itself imports nothing that computes or draws.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from attn_cli.record import record
from attn_cli.vocabulary import Language

if TYPE_CHECKING:
    from attn_cli.grid import Head
    from attn_cli.show.explanation.document import Document
    from attn_cli.show.picture.marks import Drawing

Content = TypeVar("Content")


@record(frozen=True, slots=True)
class Results:
    """The content of data files: the object that --json prints, and the heads whose steps it contains."""

    document: Mapping[str, object]
    heads: "Sequence[Head]" = ()


@record(frozen=True, slots=True)
class Picture:
    """The content of pictures: a drawing, and the pixels per inch for raster formats."""

    drawing: "Drawing"
    dpi: int


@record(frozen=True, slots=True)
class Page:
    """The content of an explanation's files: the document, its language, and the object of --json."""

    page: "Document"
    language: Language
    document: Mapping[str, object]


class FileKind(Generic[Content]):
    """One kind of file: its suffixes, and for each a function that turns the content into bytes."""

    def __init__(
        self, writers: Mapping[str, Callable[[Content], bytes]], numbers_only: Collection[str] = ()
    ) -> None:
        """`numbers_only`: suffixes of formats that cannot hold metadata about their numbers."""
        self._writers, self.numbers_only = writers, numbers_only

    def __iter__(self) -> Iterator[str]:
        """The suffixes, in lower case."""
        return iter(self._writers)

    def __str__(self) -> str:
        return ", ".join(self._writers)

    def encode(self, suffix: str, content: Content) -> bytes:
        """The content of a file whose name ends in `suffix`."""
        return self._writers[suffix](content)


def either(suffixes: Iterable[str]) -> str:
    """The suffixes as a choice: `.png, .svg or .pdf`."""
    *others, last = suffixes
    return f"{', '.join(others)} or {last}" if others else last


def _picture(picture: Picture, suffix: str) -> bytes:
    from attn_cli.show import picture as pictures  # matplotlib, when it draws: 0.4 s

    return pictures.render(picture.drawing, suffix, picture.dpi)


def _json(answer: Results) -> bytes:
    from attn_cli.show.data import as_json

    return f"{as_json(answer.document)}\n".encode()


def _page_json(page: Page) -> bytes:
    return _json(Results(page.document))


def _text(page: Page) -> bytes:
    from attn_cli.show.explanation.plain import as_text

    return as_text(page.page, page.language).encode()


def _markdown(page: Page) -> bytes:
    from attn_cli.show.explanation.markdown import as_markdown

    return as_markdown(page.page, page.language).encode()


def _npz(answer: Results) -> bytes:
    from attn_cli.show.data import as_npz

    return as_npz(answer.document, answer.heads)


def _safetensors(answer: Results) -> bytes:
    from attn_cli.show.data import as_safetensors

    return as_safetensors(answer.document, answer.heads)


def _steps_csv(answer: Results) -> bytes:
    from attn_cli.show.data import as_csv

    return as_csv(answer.document, answer.heads)


def _comparison_csv(answer: Results) -> bytes:
    from attn_cli.show.data import comparison_as_csv

    return comparison_as_csv(answer.document)


def _records_npz(answer: Results) -> bytes:
    from attn_cli.show.records import as_npz

    return as_npz(answer.document)


def _records_csv(answer: Results) -> bytes:
    from attn_cli.show.records import as_csv

    return as_csv(answer.document)


def _survey_csv(answer: Results) -> bytes:
    from attn_cli.show.survey.tables import as_csv

    return as_csv(answer.document)


def _survey_parquet(answer: Results) -> bytes:
    from attn_cli.show.survey.tables import as_parquet  # pyarrow: 0.1 s

    return as_parquet(answer.document)


PICTURES = FileKind({suffix: partial(_picture, suffix=suffix) for suffix in (".png", ".svg", ".pdf")})

STEPS = FileKind(
    {".json": _json, ".npz": _npz, ".safetensors": _safetensors, ".csv": _steps_csv}, numbers_only={".csv"}
)
"""The steps of heads, number by number."""

COMPARISONS = FileKind({".json": _json, ".npz": _npz, ".safetensors": _safetensors, ".csv": _comparison_csv})
"""The distances between heads, and the difference of two."""

RECORDS = FileKind({".json": _json, ".npz": _records_npz, ".csv": _records_csv})
"""The metrics of heads: one record per head."""

SURVEYS = FileKind({".parquet": _survey_parquet, ".csv": _survey_csv, ".json": _json})
"""The metrics of heads over many documents: a row per head and metric."""

EXPLANATIONS = FileKind({".md": _markdown, ".txt": _text, ".json": _page_json})
"""The arithmetic of one weight, as a page or as numbers."""

PAGE_SUFFIX = (".html",)
"""An interactive page; `show/page/` writes it while layers run."""
