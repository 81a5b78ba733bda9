"""The tokens of a long text, in columns: they are listed, and no layer is to run."""

from collections.abc import Iterator

from attn_cli.models.source import Source
from attn_cli.models.tokens.token import TokenColumns
from attn_cli.reading.long_texts.length import AS_A_WHOLE, LONG, check_length, check_positions
from attn_cli.reading.reading import TextRequest, remarks_on_tokens
from attn_cli.record import record


@record(frozen=True, slots=True)
class LongReading:
    """A long text as a model reads it."""

    request: TextRequest
    source: Source
    columns: TokenColumns

    @property
    def notes(self) -> Iterator[str]:
        """Remarks on what limits the reliability of this reading."""
        return remarks_on_tokens(self.source, len(self.columns), self.columns.first(3))


def read_long(source: Source, request: TextRequest) -> LongReading | None:
    """The tokens of a text; None if it is short, has several parts, or must be split as a whole.

    Raises:
        AttnError: it has no tokens, or more than the model has positions, or is too long to be split as a
            whole.
    """
    is_alone = request.pair is None and request.target is None and request.chat is None
    if not is_alone or len(request.text) <= LONG:
        return None
    columns = source.token_columns(request.text)
    if columns is None:
        check_length(request.text, "the text", AS_A_WHOLE)
        return None
    check_positions(len(columns), "the text", source)
    return LongReading(request, source, columns)
