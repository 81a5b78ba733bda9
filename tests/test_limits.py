"""The table of limits in docs/files.md says what the code has."""

from pathlib import Path

import pytest

from attn_cli import console
from attn_cli.commands.results.token_list import MOST_SHOWN
from attn_cli.errors import AttnError
from attn_cli.models.files import safe_paths
from attn_cli.models.random_layer import MOST_TOKENS as MOST_OF_RANDOM
from attn_cli.models.tokens.guards.hazards import LONGEST_UNTRIED, MOST_GROWTH
from attn_cli.models.tokens.guards.trial import SECONDS
from attn_cli.models.tokens.open import MOST_LINES
from attn_cli.reading.long_texts.duration import MOST_HOURS
from attn_cli.reading.long_texts.length import LONG, LONGEST, MOST_TOKENS
from attn_cli.reading.report.extent import MOST_TOKENS as MOST_OF_A_PAGE
from attn_cli.survey.inputs.lines import LONGEST as LONGEST_DOCUMENT
from attn_cli.survey.inputs.lines import MOST_SKIPPED

PAGE = (Path(__file__).parents[1] / "docs" / "files.md").read_text("utf-8")
ROWS = {
    cells[1].strip(): cells[2].strip()
    for line in PAGE.partition("## Limits of input")[2].splitlines()
    if len(cells := line.split("|")) == 6 and "---" not in line
}


def megabytes(size: int) -> str:
    return f"{size // 10**6} MB"


@pytest.mark.parametrize(
    ("beginning", "limit"),
    [
        ("a text in a file", megabytes(console.LARGEST_TEXT)),
        ("a text that a model", f"{LONGEST:,} characters, {MOST_TOKENS:,} tokens"),
        ("how long the layers", f"{MOST_HOURS} hours"),
        ("a text for `attn tokens`", f"{LONGEST:,} characters"),
        (
            f"the tokens that `attn tokens` shows in a terminal, of a text of more than {LONG:,}",
            f"{MOST_SHOWN:,} tokens",
        ),
        ("a text for `-m random`", f"{MOST_OF_RANDOM:,} tokens"),
        ("a text for a page", f"{MOST_OF_A_PAGE:,} tokens"),
        ("a document of", f"{LONGEST_DOCUMENT >> 20} MiB"),
        ("a longer line", f"{MOST_SKIPPED >> 20} MiB"),
        ("a file of a tokenizer", megabytes(safe_paths.LARGEST_TEXT)),
        ("a vocabulary", f"{MOST_LINES:,} lines"),
        ("`config.json`", megabytes(safe_paths.LARGEST_CONFIG)),
        ("the list of shards", megabytes(safe_paths.LARGEST_INDEX)),
        ("the header", megabytes(safe_paths.LARGEST_HEADER)),
        ("a text after", f"{MOST_GROWTH} times as long"),
        ("a trial of", f"{SECONDS} s, and {SECONDS} s more for each megabyte"),
    ],
)
def test_the_page_names_the_limit(beginning: str, limit: str) -> None:
    assert [said for what, said in ROWS.items() if what.startswith(beginning)] == [limit]


def test_the_page_names_no_other_limits() -> None:
    assert len(ROWS) == 1 + 16  # with the heading
    for length, beginning in ((LONG, "the tokens that"), (LONGEST_UNTRIED, "a trial of")):
        assert [what for what in ROWS if what.startswith(beginning) and f" {length:,} characters" in what]


@pytest.mark.parametrize(("text", "pair"), [("a " * LONGEST, None), ("a", "a " * LONGEST)])
def test_python_has_the_same_bound_of_a_text(text: str, pair: str | None) -> None:
    import attn_cli

    with pytest.raises(AttnError, match=r"2,000,000 characters, and a model runs on at most 1,000,000"):
        attn_cli.open_model().read(text, pair=pair)
