"""The rows of a long list of tokens, beside Python's own formatting of each."""

import numpy as np
import pytest

from attn_cli.models.tokens import token_rows
from attn_cli.models.tokens.token import Token, TokenColumns
from attn_cli.models.tokens.token_rows import written_rows

TEXTS = ("a", "größer", "日本", "👩‍👩‍👧", "100 %d %s %%", "\t\\", "", "\ud800")
TEMPLATES = (
    "%8d  %s  %10d  %10d  %s",
    '{"position": %d, %s, "start": %d, "end": %d, %s}',
    "%3d %s%d%d %s %%",
)


def made(texts: tuple[str, ...], count: int) -> TokenColumns:
    """So many tokens with these texts, at odd places."""
    kinds = [Token(0, index, text, text, 0, 0, special=False, segment=0) for index, text in enumerate(texts)]
    rng = np.random.default_rng(count)
    which = rng.integers(len(kinds), size=count).astype(np.int32)
    starts = rng.integers(10 ** rng.integers(1, 9, count)).astype(np.int32)
    starts[:1] = 0
    return TokenColumns(kinds, which, starts, starts + 1)


def parts(token: Token) -> tuple[str, str]:
    return f"{token.id} {token.piece}", f"{token.text}|"


def by_hand(columns: TokenColumns, template: str) -> list[str]:
    return [
        template % (position, *parts_of[:1], start, end, *parts_of[1:])
        for position, (kind, start, end) in enumerate(
            zip(columns.which.tolist(), columns.starts.tolist(), columns.ends.tolist(), strict=True)
        )
        for parts_of in [parts(columns.kinds[kind])]
    ]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("extra", [(), ("with \0 in it",), ("long" * 101,)], ids=["plain", "NUL", "wide"])
@pytest.mark.parametrize("count", [1, 5, 99])
def test_rows_are_those_that_python_formats(
    template: str, extra: tuple[str, ...], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_rows, "_BLOCK", 10)
    monkeypatch.setattr(token_rows, "_MOST_KEPT", 3)
    columns = made((*TEXTS, *extra), count)
    for between in ("\n", ",\n  ", "%"):
        blocks = list(written_rows(columns, template, parts, between))
        assert between.join(blocks) == between.join(by_hand(columns, template))
        assert len(blocks) == -(-count // 10)
