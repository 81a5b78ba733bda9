"""A pattern of a head, with its share and the rows that it was measured on."""

from attn_cli.record import record
from attn_cli.vocabulary import Pattern


@record(frozen=True, slots=True)
class PatternShare:
    """How much of a head's weight goes to the tokens of a pattern."""

    pattern: Pattern
    share: float  # 0 to 1: the mean weight on the tokens of the pattern; for `broad`, of the largest entropy
    rows: int | None  # None: unknown

    def fields(self) -> dict[str, str | float | int | None]:
        """Its fields in the JSON object and in `attn.json`."""
        return {"name": str(self.pattern), "share": self.share, "rows": self.rows}
