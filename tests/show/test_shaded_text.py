"""Shaded texts in a terminal: shades, numbers without colours, what is left out of long texts."""

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from attn_cli.answers.shaded_text import Piece, ShadedText
from attn_cli.show.scale import StepScale
from attn_cli.show.shaded_lines import scale_of
from attn_cli.show.terminal.shaded_text import ShadedTexts
from attn_cli.show.terminal.shades import ramp
from attn_cli.show.terminal.view import Sheet
from attn_cli.vocabulary import Theme

WORDS = ("the", "cat", "sat", "here")


def text_of(*weights: float, words: tuple[str, ...] = WORDS, query: int = 1) -> ShadedText:
    """Words with these weights, the query among them; those after it are masked."""
    pieces = list[Piece]()
    for position, word in enumerate(words):
        pieces += [Piece(word, (position,)), Piece(" ")]
    shown = np.array([bool(piece.tokens) for piece in pieces])
    numbers = np.zeros(len(pieces))
    numbers[::2] = weights
    masked = shown & (np.arange(len(pieces)) > 2 * query)
    title, named = "weights 0.0", f"{query} {words[query]}"
    return ShadedText(title, named, query, tuple(pieces), numbers, shown, masked)


def sheet(colours: str | None = "truecolor", width: int = 60, *, is_endless: bool = False) -> Sheet:
    return Sheet(width, "utf-8", colours, is_endless)


def printed(view: ShadedTexts, paper: Sheet) -> list[str]:
    return ["".join(segment.text for segment in line) for line in view.lines(paper)]


def styles(text: ShadedText, paper: Sheet, theme: Theme = Theme.DARK) -> dict[str, Style]:
    view = ShadedTexts([text], theme=theme)
    segments = [segment for line in view.lines(paper) for segment in line]
    return {segment.text: segment.style or Style.null() for segment in reversed(segments)}


@pytest.mark.parametrize("colours", ["truecolor", "256", "standard"])
@pytest.mark.parametrize("theme", [Theme.DARK, Theme.LIGHT])
def test_a_token_has_the_shade_of_its_weight_and_the_text_is_readable_on_it(
    colours: str, theme: Theme
) -> None:
    drawn = styles(text_of(0.999, 0.001, 0, 0), sheet(colours), theme)
    assert drawn["the"] == ramp(colours, theme, (0.0, 1.0))[-1].style
    assert drawn["the"].color is not None
    assert drawn["cat"].bgcolor is None  # written as 0.00


def test_the_query_is_underlined_and_masked_tokens_are_dim() -> None:
    drawn = styles(text_of(0.5, 0.5, 0, 0), sheet())
    assert drawn["cat"].underline
    assert not drawn["the"].underline
    assert (drawn["sat"].dim, drawn["the"].dim) == (True, None)


def test_tokens_that_are_not_shown_are_plain() -> None:
    text = text_of(0.0, 0.1, 0, 0)
    part = replace(text, shown=text.shown & (np.arange(8) > 0), elsewhere=0.9)
    assert styles(part, sheet())["the"] == Style.null()
    assert "0.90 on tokens that are not shaded" in "".join(printed(ShadedTexts([part]), sheet(width=200)))


def test_with_colours_the_largest_weights_are_listed_and_a_bar_tells_the_range() -> None:
    shown = printed(ShadedTexts([text_of(0.75, 0.25, 0, 0)]), sheet())
    assert shown == [
        "weights 0.0 · query 1 cat · shades 0 to 1",
        "the cat sat here",
        "largest:  0 the .75  1 cat .25",
        "",
        "0                          1",
        "underlined: the query · dim: masked",
    ]


def test_without_colours_numbers_follow_the_largest_weights_and_braces_mark_the_query() -> None:
    shown = printed(ShadedTexts([text_of(0.5, 0.3, 0.2, 0, query=2)], top=2), sheet(None, 80))
    assert shown == [
        "weights 0.0 · query 2 sat",
        "the[.50] cat[.30] {sat} here",
        "",
        "[.42]: the weight of the token that ends there, the 2 largest · { }: the query",
    ]


def test_a_number_after_a_piece_of_a_word_is_the_weight_of_that_piece_and_the_legend_says_so() -> None:
    text = text_of(0.2, 0.8, words=("cater", "pillar"))
    joined = replace(text, pieces=(text.pieces[0], Piece(""), *text.pieces[2:]))
    shown = printed(ShadedTexts([joined], top=2), sheet(None, 80))
    assert shown[1] == "cater[.20]{pillar}[.80]"
    assert shown[-1] == "[.42]: the weight of the token that ends there, the 2 largest · { }: the query"


def test_small_weights_have_the_decimals_that_tell_them_apart() -> None:
    shown = printed(ShadedTexts([text_of(0.0042, 0.0018, 0, 0)]), sheet(None))
    assert shown[1] == "the[.0042] {cat}[.0018] sat here"
    assert printed(ShadedTexts([text_of(0.0042, 0.0018, 0, 0)]), sheet())[0].endswith("shades 0 to 0.0042")


def test_texts_share_a_scale() -> None:
    small, large = text_of(0.01, 0, 0, 0), text_of(0.5, 0, 0, 0)
    shown = printed(ShadedTexts([small, large]), sheet())
    assert [line for line in shown if line.startswith("weights")] == [
        "weights 0.0 · query 1 cat · shades 0 to 1"
    ] * 2


def test_a_sink_stands_beside_the_text() -> None:
    shown = printed(ShadedTexts([replace(text_of(0.5, 0, 0, 0), sink=0.31)]), sheet(None))
    assert shown[0] == "weights 0.0 · query 1 cat · sink 0.31"


def long_text() -> ShadedText:
    """1,000 words: weight on the 500th, the query among the last; the tenth has a little."""
    weights = np.zeros(1000)
    weights[[10, 500]] = 0.2, 0.7
    return text_of(*weights, words=tuple(f"w{i}" for i in range(1000)), query=990)


def test_a_long_text_keeps_the_lines_that_matter_and_says_what_is_left_out() -> None:
    shown = printed(ShadedTexts([long_text()]), sheet(None))
    kept = [line for line in shown if line.startswith(("w", "{w")) and "weights" not in line]
    gaps = [line for line in shown if line.startswith("…")]
    assert [any(word in line for line in kept) for word in ("w10[.20]", "w500[.70]", "{w990}")] == [True] * 3
    assert len(kept) < 8
    assert gaps[1].endswith("tokens, weight 0")
    told = sum(int(gap.split(", ")[1].split()[0]) for gap in gaps) + sum(len(line.split()) for line in kept)
    assert told == 1000


def lines_of(count: int, weight: float = 0.0) -> ShadedText:
    """As many lines of one word; the first has nearly all of the weight, the tenth `weight`."""
    weights = np.zeros(count)
    weights[[0, 10]] = 1 - weight, weight
    text = text_of(*weights, words=tuple(f"w{i}" for i in range(count)), query=count - 1)
    pieces = tuple(piece if piece.tokens else replace(piece, text="\n") for piece in text.pieces)
    return replace(
        text, pieces=pieces[:-1], weights=text.weights[:-1], shown=text.shown[:-1], masked=text.masked[:-1]
    )


def test_forty_lines_are_shown_whole_and_more_are_not() -> None:
    assert "…" not in "".join(printed(ShadedTexts([lines_of(40)]), sheet(None)))
    assert printed(ShadedTexts([lines_of(41)]), sheet(None))[2] == "… 39 lines, 39 tokens, weight 0"


@pytest.mark.parametrize(("weight", "is_kept"), [(0.041, True), (0.039, False)])
def test_a_line_is_kept_for_a_weight_of_a_twenty_fifth_of_the_range(weight: float, is_kept: bool) -> None:
    shown = printed(ShadedTexts([lines_of(60, weight)]), sheet())
    assert ("w10" in shown) is is_kept


def test_masked_lines_are_left_out_as_masked() -> None:
    text = long_text()
    early = replace(text, query_token=20, masked=text.shown & (np.arange(2000) > 1200))
    gaps = [line for line in printed(ShadedTexts([early]), sheet(None)) if line.startswith("…")]
    assert gaps[-1].endswith(", masked")


def test_a_file_has_the_whole_text() -> None:
    shown = " ".join(printed(ShadedTexts([long_text()]), sheet(None, is_endless=True)))
    assert all(f"w{i}" in shown for i in range(1000))
    assert "…" not in shown


@pytest.mark.parametrize("colours", ["truecolor", None])
def test_hostile_tokens_are_harmless(colours: str | None) -> None:
    words = ("\x1b[31mred", "[bold]x[/bold]", "\u202eevil", "日本")
    shown = printed(ShadedTexts([text_of(0.25, 0.25, 0.25, 0.25, words=words, query=3)]), sheet(colours, 200))
    assert all("\x1b" not in line and "\u202e" not in line for line in shown)
    assert "[bold]x[/bold]" in shown[1]
    assert "\\x1b[31mred" in shown[1]


def test_an_ascii_terminal_gets_ascii() -> None:
    text = replace(text_of(0.5, 0.5, 0, 0, words=("é", "\n", "日", "b")), query_text=(Piece("x", (1,)),))
    paper = Sheet(60, "ascii", None)
    assert all(line.isascii() for line in printed(ShadedTexts([text]), paper))


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    console = Console(width=width, color_system="truecolor", force_terminal=True)
    lines = console.render_lines(ShadedTexts([long_text(), long_text()]), pad=False)
    assert max(map(Segment.get_line_length, lines)) <= width


def test_shades_span_0_to_1_unless_every_weight_is_small() -> None:
    small, large = text_of(0.19, 0, 0, 0), text_of(0.2, 0, 0, 0)
    assert scale_of([small], None) == StepScale((0.0, 0.19))
    assert scale_of([small, large], None) == scale_of([text_of(0, 0, 0, 0)], None) == StepScale((0.0, 1.0))
    assert scale_of([small], StepScale((0.0, 0.5))) == StepScale((0.0, 0.5))


def test_a_log_scale_shades_small_weights_and_none_below_it() -> None:
    view = ShadedTexts([text_of(0.004, 0.97, 0, 0)], StepScale((0.001, 1.0), is_log=True))
    assert printed(view, sheet())[0] == "weights 0.0 · query 1 cat · shades 0.001 to 1, log scale"
    below = ShadedTexts([text_of(0.004, 0.97, 0, 0)], StepScale((0.1, 1.0), is_log=True))
    shades = [{each.text: each.style for line in of.lines(sheet()) for each in line} for of in (view, below)]
    ramped = ramp("truecolor", Theme.DARK, (0.001, 1.0))
    assert shades[0]["the"] == ramped[int(len(ramped) * np.log(4) / np.log(1000))].style
    assert not shades[1]["the"]
