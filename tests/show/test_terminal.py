"""Matrices and lists on consoles of a fixed width: exact strings."""

import io
import unicodedata
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from attn_cli.grid import Grid
from attn_cli.show.grids import grid_of
from attn_cli.show.terminal.lists import Paragraph, TextTable
from attn_cli.show.terminal.matrices import Matrices
from attn_cli.show.terminal.number_format import NumberFormat
from attn_cli.show.terminal.shades import Shade
from attn_cli.show.terminal.text_width import cut, folded
from attn_cli.show.terminal.view import Sheet

Colours = Literal["standard", "256", "truecolor"]

CAT = ("the", "cat", "sat")
CAUSAL = np.tril(np.ones((3, 3), dtype=bool))
WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.0, 0.5, 0.5]])


def weights(labels: tuple[str, ...] = CAT) -> Grid:
    return grid_of("weights 2.5", WEIGHTS, labels, labels, CAUSAL, (0, 1))


def uniform(size: int, title: str = "weights 0.0") -> Grid:
    labels = [f"t{number}" for number in range(size)]
    return grid_of(title, np.full((size, size), 1 / size), labels, labels, limits=(0, 1))


def named(count: int, rows: int = 1) -> Grid:
    values = np.arange(count * rows).reshape(rows, count) / 8
    return grid_of("queries 0.0", values, CAT[:rows], [str(i) for i in range(count)], are_tokens=False)


def plain(width: int) -> Console:
    return Console(width=width, file=io.StringIO(), color_system=None)


def endless(width: int) -> Console:
    """A pipe or a file: text is wrapped at a width, but lines may be longer."""
    return Console(width=width, file=io.StringIO(), color_system=None, soft_wrap=True)


def coloured(width: int, colours: Colours) -> Console:
    return Console(width=width, file=io.StringIO(), color_system=colours, force_terminal=True)


def printed(console: Console) -> str:
    file = console.file
    if isinstance(file, io.TextIOWrapper):
        file.flush()
        return bytes(file.buffer.getbuffer()).decode(file.encoding)
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def drawn(drawing: Grid, width: int = 80, top: int | None = None, digits: int = 2) -> list[str]:
    console = plain(width)
    console.print(Matrices(drawing, top=top, digits=digits))
    return printed(console).splitlines()


def written(*drawings: Grid, width: int = 80, top: int | None = None) -> list[str]:
    """The lines in a file."""
    console = endless(width)
    console.print(Matrices(*drawings, top=top))
    return printed(console).splitlines()


def test_a_matrix_has_a_title_positions_tokens_and_shaded_cells() -> None:
    assert drawn(weights()) == [
        "weights 2.5 · 3 × 3 · range 0 to 1",
        "          0    1    2",
        "        the  cat  sat",
        "0 the █1.00    ·    ·",
        "1 cat ░0.25▓0.75    ·",
        "2 sat  0.00▒0.50▒0.50",
    ]


def test_a_masked_cell_is_not_a_zero() -> None:
    first, _, last = drawn(weights())[3:]
    assert first.count("·") == 2
    assert "0.00" not in first
    assert "0.00" in last
    assert "·" not in last


def test_zeros_before_the_point_are_dropped_if_space_is_short() -> None:
    assert drawn(weights(), width=20)[4:] == [
        "0 the █1.0   ·   ·",
        "1 cat ░.25▓.75   ·",
        "2 sat  .00▒.50▒.50",
    ]


def test_a_long_token_is_folded_over_its_column() -> None:
    labels = ("incomprehensibly", "a", "sentence")
    header = drawn(grid_of("w", np.full((1, 3), 0.5), ["a"], labels), width=24)[2:6]
    assert header == [
        "         0     1     2",
        "     incom     a sente",
        "     prehe       nce",
        "     nsib…",
    ]


def test_equal_tokens_are_distinguished_by_position() -> None:
    lines = drawn(weights(("the", "cat", "the")))
    assert lines[1:3] == ["          0    1    2", "        the  cat  the"]
    assert [line[:5] for line in lines[3:]] == ["0 the", "1 cat", "2 the"]


def test_a_matrix_of_one_cell() -> None:
    one = grid_of("weights 0.0", np.array([[1.0]]), ["a"], ["a"], limits=(0, 1))
    assert drawn(one) == ["weights 0.0 · 1 × 1 · range 0 to 1", "       0", "       a", "0 a   █1"]


def test_an_empty_matrix_is_a_title() -> None:
    assert drawn(grid_of("weights 0.0", np.zeros((0, 0)), [], []))[0] == "weights 0.0 · 0 × 0 · range 0 to 1"


def test_a_mask_has_no_decimals() -> None:
    mask = grid_of("mask 2", CAUSAL.astype(float), CAT, CAT, limits=(0, 1))
    assert drawn(mask)[3:] == ["0 the   █1   0   0", "1 cat   █1  █1   0", "2 sat   █1  █1  █1"]


def test_a_mask_that_is_too_wide_is_a_window() -> None:
    size = 40
    mask = grid_of("mask 2", np.eye(size), ["a"] * size, ["a"] * size, limits=(0, 1))
    lines = drawn(mask)
    assert lines[1].split() == [*map(str, range(17)), "…", "39"]
    assert lines[-1] == "columns 17 to 38 are left out; all: --out FILE.csv, --json, or a width of 165"


def test_eighteen_tokens_fit_eighty_columns() -> None:
    lines = drawn(uniform(18))
    assert max(map(len, lines)) == 79
    assert lines[3] == " 0 t0  " + " .06" * 18


def test_labels_shrink_before_numbers_do() -> None:
    labels = [f"token{number}" for number in range(18)]
    lines = drawn(grid_of("weights", np.full((18, 18), 1 / 18), labels, labels, limits=(0, 1)))
    assert lines[4:][-1] == "17 tok… " + " .06" * 18


def test_a_token_matrix_that_is_too_wide_is_the_largest_of_each_row() -> None:
    lines = drawn(uniform(40))
    assert lines[1] == " 0 t0  →  0 t0  0.03   1 t1  0.03   2 t2  0.03   3 t3  0.03   4 t4  0.03"
    assert lines[-1] == "the 5 largest of 40 in each row; all: --out FILE.csv, --json, or a width of 167"


def test_top_lists_the_largest_of_each_row() -> None:
    assert drawn(weights(), top=2) == [
        "weights 2.5 · 3 × 3 · range 0 to 1",
        "0 the → 0 the █1.00",
        "1 cat → 1 cat ▓0.75  0 the ░0.25",
        "2 sat → 1 cat ▒0.50  2 sat ▒0.50",
        "the 2 largest of 3 in each row",
    ]


def test_eight_are_listed_by_default_even_if_more_would_fit() -> None:
    wide = drawn(uniform(60), width=200)
    assert wide[1].count("0.02") == 8
    assert wide[-1].startswith("the 8 largest of 60 in each row; all:")


def test_top_of_all_keys_needs_no_note() -> None:
    assert drawn(weights(), top=9)[1:] == [
        "0 the → 0 the █1.00",
        "1 cat → 1 cat ▓0.75  0 the ░0.25",
        "2 sat → 1 cat ▒0.50  2 sat ▒0.50  0 the  0.00",
    ]


def test_top_that_does_not_fit_says_how_many_do() -> None:
    assert drawn(weights(), width=32, top=3)[3:] == [
        "1 cat → 1 cat ▓0.75  0 the ░0.25",
        "2 sat → 1 cat ▒0.50  2 sat ▒0.50",
        "the 2 largest of 3 in each row;",
        "1 more in a wider window",
    ]


def test_a_fully_masked_row_lists_nothing() -> None:
    nowhere = np.zeros((3, 3), dtype=bool)
    assert drawn(grid_of("w", WEIGHTS, CAT, CAT, nowhere), top=2)[1] == "0 the → ·"


def test_the_largest_scores_are_those_that_the_softmax_prefers() -> None:
    scores = grid_of("scores 2.5", np.array([[-3.0, 1.5, 2.0]]), ["the"], CAT)
    assert drawn(scores, top=2)[1] == "0 the → 2 sat ▓ 2.00  1 cat ▒ 1.50"


def test_the_largest_of_a_difference_are_the_largest_by_absolute_value() -> None:
    difference = grid_of("0.1 − 2.5", np.array([[-3.0, 1.5, 2.0]]), ["the"], CAT)
    lines = drawn(replace(difference, by_size=True), top=2)
    assert lines[1] == "0 the → 0 the █-3.00  2 sat ▓ 2.00"
    assert lines[2].startswith("the 2 largest by absolute value of 3 in each row")


def test_a_masked_cell_is_never_among_the_largest() -> None:
    scores = grid_of(
        "scores 2.5", np.array([[-3.0, 1.5, 9.0]]), ["the"], CAT, np.array([[True, True, False]])
    )
    assert drawn(scores, top=2)[1] == "0 the → 1 cat ▒ 1.50  0 the █-3.00"


def test_equal_values_are_listed_in_the_order_of_the_keys() -> None:
    lines = drawn(uniform(300), top=3)
    assert lines[7] == "  6 t6   →   0 t0  0.0033    1 t1  0.0033    2 t2  0.0033"


def test_features_that_do_not_fit_are_a_window() -> None:
    assert drawn(named(30), width=40) == [
        "queries 0.0 · 1 × 30 · range 0 to 3.62",
        "          0    1    2    3    4 …   29",
        "0 the  0.00 0.12 0.25 0.38 0.50 …█3.62",
        "columns 5 to 28 are left out; all: --out",
        "FILE.csv, --json, or a width of 156",
    ]


def test_one_column_left_out_is_one() -> None:
    assert drawn(named(7), width=33)[4].startswith("column 5 is left out;")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("top", [None, 3])
def test_no_line_is_wider_than_the_console(width: int, top: int | None) -> None:
    large = grid_of(
        "scores 2.5 of a model", np.full((90, 90), -1e4), ["日本語の長い言葉"] * 90, ["long" * 9] * 90
    )
    for drawing in (weights(), uniform(90), named(64), large):
        assert max(map(cell_len, drawn(drawing, width, top))) <= width


def test_a_title_goes_on_below_where_a_phrase_of_it_is_too_wide() -> None:
    pooled = replace(grid_of("w", np.full((2, 2), 0.5), "ab", "ab", limits=(0, 1)), cells=(3, 3))
    assert drawn(pooled, width=30)[:4] == [
        "w",
        "pooled: each cell is the mean",
        "of 3 × 3 weights · 2 × 2",
        "range 0 to 1",
    ]


def test_what_fits_is_the_same_in_a_file() -> None:
    for drawing in (weights(), uniform(18), named(7)):
        assert written(drawing) == drawn(drawing)
    assert written(weights(), top=2) == drawn(weights(), top=2)


def test_a_file_has_all_columns_however_wide_the_console() -> None:
    for drawing in (uniform(40), named(64)):
        header, *rows = [line for line in written(drawing, width=40) if "range" not in line][-2:]
        assert len(header.split()) >= len(drawing.columns)
        assert rows[0].startswith("39 t39  0.03 0.03" if drawing.are_tokens else "0 the  0.00 0.12")
    mask = grid_of("mask 2", np.eye(40), ["a"] * 40, ["a"] * 40, limits=(0, 1))
    assert written(mask)[1].split() == [str(number) for number in range(40)]


def test_a_file_has_names_in_full() -> None:
    _, _, *header, row = written(wide(3), width=40)
    assert "".join(line.split()[0] for line in header) == LETTERS
    assert row == f"0 {LETTERS} ░0.33░0.33░0.33"
    (listed,) = written(wide(3), width=40, top=3)[1:]
    assert listed.count(LETTERS) == 4


def test_a_file_has_as_many_values_as_were_asked_for() -> None:
    lines = written(uniform(40), width=40, top=30)
    assert lines[1].count("0.03") == 30
    assert lines[-1] == "the 30 largest of 40 in each row"


def test_the_shades_of_a_large_matrix_are_not_in_memory_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """65,536 cells take half a megabyte; those of a matrix of 16,000 tokens would take 20 GB."""
    sizes: list[int] = []
    shades = Sheet.shades

    def counted(sheet: Sheet, part: Grid, form: NumberFormat) -> list[list[Shade]]:
        sizes.append(part.values.size)
        return shades(sheet, part, form)

    monkeypatch.setattr(Sheet, "shades", counted)
    lines = written(uniform(300))
    assert sizes == [218 * 300, 82 * 300]
    assert [line.split()[:2] for line in lines[-300:]] == [[str(i), f"t{i}"] for i in range(300)]


@given(st.integers(0, 9), st.sampled_from(["f", "e"]), st.floats(-2, 2), st.integers(-2, 2))
def test_a_zero_is_what_is_written_as_one(digits: int, kind: str, share: float, steps: int) -> None:
    form = NumberFormat(f"z.{digits}{kind}", digits + 2)
    half = 0.5 / 10**digits
    values = np.array([[half * share, half, -half, np.nextafter(half, steps), np.nan, np.inf, 0.0]])
    assert form.zeros(values).tolist() == [[float(form(value)) == 0 for value in values[0].tolist()]]
    single = values.astype(np.float32)
    assert form.zeros(single).tolist() == [[float(form(value)) == 0 for value in single[0].tolist()]]


def test_a_narrow_file_has_its_tables_one_below_the_other() -> None:
    lines = written(uniform(7, "one"), uniform(7, "two"), width=40)
    assert [line for line in lines if "range" in line] == [
        "one · 7 × 7 · range 0 to 1",
        "two · 7 × 7 · range 0 to 1",
    ]


def test_a_list_in_a_file_has_all_columns_in_full() -> None:
    console = endless(20)
    long = "x" * 30
    for options in ({}, {"rest": "--json"}, {"is_broken": True}):
        console.print(TextTable(["id", "piece"], [["1", f"{long} {long}"]], **options))
    assert printed(console).splitlines() == ["id  piece", f"1   {long} {long}"] * 3


@pytest.mark.parametrize(
    ("width", "row"),
    [(30, "n" * 20 + "  ccccccc…"), (26, "n" * 20 + "  ccc…"), (25, "n" * 18 + "…  ccc…")],
)
def test_the_first_column_of_a_list_shrinks_last(width: int, row: str) -> None:
    console = plain(width)
    console.print(TextTable(["name", "commit"], [["n" * 20, "c" * 40]]))
    assert printed(console).splitlines()[1] == row


def test_a_title_line_without_words_is_left_out() -> None:
    console = plain(12)
    names = ("head", "score", "current-\ntoken")
    console.print(TextTable(names, [("2.6", "0.85", "0.10")], rest="--json"))
    assert printed(console).splitlines()[:2] == ["head  score", "2.6   0.85"]


def test_a_wrapped_list_continues_below_its_names_and_cells() -> None:
    console = plain(24)
    console.print(TextTable(["type", "why it is not"], [["a b", "one two three four"]], is_broken=True))
    assert printed(console).splitlines() == ["type  why it is not", "a b   one two three four"]
    narrow = plain(16)
    narrow.print(TextTable(["type", "why it is not"], [["a b", "one two three four"]], is_broken=True))
    assert printed(narrow).splitlines() == [
        "type  why it is",
        "      not",
        "a b   one two",
        "      three four",
    ]


def test_a_row_that_sees_few_keys_has_no_more_to_list() -> None:
    seen = np.zeros((1, 40), dtype=bool)
    seen[0, :4] = True
    few = grid_of("w", np.full((1, 40), 0.25), ["a"], ["b"] * 40, seen, limits=(0, 1))
    assert len(drawn(few, top=10**20)) == 2
    assert drawn(few, width=30, top=10**20)[2:] == [
        "the 2 largest of 4 in each",
        "row; 2 more in a wider window",
    ]


def test_numbers_that_are_too_large_have_exponents() -> None:
    huge = grid_of("scores 0.0", np.array([[-3.4e38, 0.5]]), ["a"], ["a", "b"])
    assert drawn(huge) == [
        "scores 0.0 · 1 × 2 · range -3.4e+38 to 0.5",
        "              0          1",
        "              a          b",
        "0 a █ -3.40e+38   5.00e-01",
    ]


def test_a_number_that_rounds_to_zero_has_no_sign() -> None:
    assert drawn(grid_of("w", np.array([[-0.001, 0.5]]), ["a"], ["a", "b"]))[-1] == "0 a  0.00█0.50"


def test_digits_are_the_decimals() -> None:
    assert drawn(weights(), digits=3)[4] == "1 cat ░0.250▓0.750     ·"


def test_a_range_that_rounds_to_zero_is_not_called_zero() -> None:
    tiny = grid_of("distance", np.array([[0.0, 0.0004]]), ["a"], ["a", "b"])
    assert drawn(tiny)[0] == "distance · 1 × 2 · range 0 to 0.0004"


def test_heads_against_heads_have_no_positions() -> None:
    names = ["0.1", "3.4"]
    distances = grid_of(
        "cosine", np.array([[0, 0.25], [0.25, 0]]), names, names, limits=(0, 1), are_tokens=False
    )
    assert drawn(distances)[1:] == ["      0.1  3.4", "0.1  0.00░0.25", "3.4 ░0.25 0.00"]


def test_markup_is_text() -> None:
    lines = drawn(weights(("[/bold]", "[red]", ":cat:")))
    assert lines[2] == "           [/bold]   [red]   :cat:"
    assert [line[:9] for line in lines[3:]] == ["0 [/bold]", "1 [red]  ", "2 :cat:  "]


def test_escape_sequences_and_line_ends_are_spelled_out() -> None:
    lines = drawn(weights(("\x1b[31m", "\n", "")))
    assert lines[2] == "            \\x1b[31m        ⏎        ␣"
    assert len(lines) == 6


def test_a_title_is_external_text_too() -> None:
    assert drawn(uniform(2, "\x1b[2J[bold]"))[0] == "\\x1b[2J[bold] · 2 × 2 · range 0 to 1"


@pytest.mark.parametrize(
    "label", ["日本", "👩\u200d👩\u200d👧", "🇧🇷", "👍🏽", "e\u0301", "\u0301", "❤\ufe0f", "한국어", "עברית"]
)
def test_columns_stay_straight_under_any_script(label: str) -> None:
    lines = drawn(grid_of("w", WEIGHTS[1:], ["a", label], [label, "a", label * 9], limits=(0, 1)))
    assert len({cell_len(line) for line in lines[-2:]}) == 1
    assert len({cell_len(line.partition("0.25")[0]) for line in lines[-2:-1]}) == 1
    listed = drawn(grid_of("w", np.full((3, 3), 0.5), ["a", label, label], [label, "a", "b"]), top=2)[1:4]
    assert len({cell_len(line) for line in listed}) == 1


@given(st.text(max_size=12))
def test_any_token_leaves_the_rows_straight(text: str) -> None:
    rows = drawn(grid_of("w", np.full((2, 2), 0.5), ["a", text], ["a", text]))[-2:]
    assert cell_len(rows[0]) == cell_len(rows[1])
    assert not any(unicodedata.category(c) in {"Cc", "Cs"} for row in rows for c in row)


@given(st.text(max_size=12), st.integers(1, 12))
def test_a_cut_text_fits(text: str, width: int) -> None:
    assert cell_len(cut(text, width)) <= width


def test_a_cut_leaves_characters_whole() -> None:
    family = "👩\u200d👩\u200d👧"
    assert cut(family * 2, 3) == family + "…"
    assert cut("🇧🇷🇵🇹🇯🇵", 4) == "🇧🇷…"
    assert cut("日本語", 4) == "日…"
    assert cut("e\u0301e\u0301e\u0301", 2) == "e\u0301…"


def test_folded_text_is_whole_or_says_that_it_is_not() -> None:
    assert folded("sentence", 3, 3) == ["sen", "ten", "ce"]
    assert folded("sentences!", 3, 3) == ["sen", "ten", "ce…"]
    assert folded("日本語", 3, 2) == ["日", "本…"]


def test_ascii_has_other_signs_for_everything() -> None:
    console = Console(
        width=80, file=io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict"), color_system=None
    )
    console.print(Matrices(weights(("\n", "日", "e"))))
    console.print(Matrices(weights(), top=1))
    assert printed(console).splitlines() == [
        "weights 2.5 . 3 x 3 . range 0 to 1",
        "               0      1      2",
        "              \\n \\u65e5      e",
        "0 \\n       #1.00      .      .",
        "1 \\u65e5   .0.25  +0.75      .",
        "2 e         0.00  :0.50  :0.50",
        "weights 2.5 . 3 x 3 . range 0 to 1",
        "0 the -> 0 the #1.00",
        "1 cat -> 1 cat +0.75",
        "2 sat -> 1 cat :0.50",
        "the largest of 3 in each row",
    ]


def test_a_pipe_gets_no_control_character() -> None:
    text = "\n".join(drawn(weights(("\x1b[31m", "\x07", "\r"))))
    assert not any(unicodedata.category(c).startswith("C") for c in text if c != "\n")


def test_no_color_keeps_the_glyphs() -> None:
    console = Console(
        width=80, file=io.StringIO(), color_system="truecolor", force_terminal=True, no_color=True
    )
    console.print(Matrices(weights()))
    assert "░0.25▓0.75" in printed(console)
    assert "48;2" not in printed(console)


def test_grids_of_the_same_rows_share_their_labels() -> None:
    console = plain(80)
    scores = grid_of("scores 2.5", WEIGHTS * 8 - 4, CAT, CAT, CAUSAL)
    console.print(Matrices(scores, weights()))
    assert printed(console).splitlines() == [
        "scores 2.5 · 3 × 3   weights 2.5",
        "range -4 to 4        3 × 3",
        "                     range 0 to 1",
        "         0   1   2       0    1    2",
        "       the cat sat     the  cat  sat",
        "0 the  █ 4   ·   ·   █1.00    ·    ·",
        "1 cat  ▒-2 ▒ 2   ·   ░0.25▓0.75    ·",
        "2 sat  █-4   0   0    0.00▒0.50▒0.50",
    ]


def test_grids_that_do_not_fit_are_one_below_the_other() -> None:
    console = plain(40)
    console.print(Matrices(uniform(7, "one"), uniform(7, "two")))
    lines = printed(console).splitlines()
    assert [lines[0], lines[10], lines[11]] == [
        "one · 7 × 7 · range 0 to 1",
        "",
        "two · 7 × 7 · range 0 to 1",
    ]


def test_grids_of_other_rows_keep_their_labels() -> None:
    console = plain(80)
    console.print(Matrices(weights(), weights(("a", "b", "c"))))
    assert printed(console).splitlines()[-1] == "2 sat  0.00▒0.50▒0.50   2 c  0.00▒0.50▒0.50"


def test_a_list_has_straight_columns() -> None:
    console = plain(80)
    console.print(
        TextTable(["position", "id", "piece"], [["0", "101", "[CLS]"], ["1", "9", "日本"]], right={0, 1})
    )
    assert printed(console).splitlines() == [
        "position   id  piece",
        "       0  101  [CLS]",
        "       1    9  日本",
    ]


def test_the_widest_column_of_a_list_shrinks() -> None:
    console = plain(20)
    console.print(
        TextTable(["id", "piece", "text"], [["1", "x" * 30, "\x1b"], ["22", "日" * 30, " a"]], right={0})
    )
    assert printed(console).splitlines() == [
        "id  piece       text",
        " 1  xxxxxxxxx…  \\x1b",
        "22  日日日日…    a",
    ]


def test_a_list_of_too_many_columns_is_cropped() -> None:
    console = plain(20)
    console.print(TextTable(["ab"] * 15, [["cd"] * 15]))
    assert printed(console).splitlines() == ["…  " * 6 + "… "] * 2


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (26, ["head  name  share  entropy", "2.6   a      0.85     0.10"]),
        (25, ["head  name  entropy", "2.6   a        0.10", "no room for share: --json"]),
        (18, ["head  entropy", "2.6      0.10", "no room for name,", "share: --json"]),
    ],
)
def test_a_column_that_is_kept_stays_if_others_are_left_out(width: int, lines: list[str]) -> None:
    console = plain(width)
    names = ("head", "name", "share", "entropy")
    row = ("2.6", "a", "0.85", "0.10")
    console.print(TextTable(names, [row], right=(2, 3), rest="--json", kept=3))
    assert printed(console).splitlines() == lines


def test_listed_tokens_are_cut_only_if_there_is_no_room() -> None:
    tokens = ("melancholy", "wonderful", "on")
    grid = grid_of("w", np.array([[0.9, 0.1, 0.0]] * 3), tokens, tokens, limits=(0.0, 1.0))
    assert drawn(grid, width=40, top=1)[1] == "0 melancholy → 0 melancholy █0.90"
    assert drawn(grid, width=29, top=1)[1] == "0 melanc… → 0 melancho… █0.90"
    assert drawn(grid, width=24, top=1)[1] == "0 mela… → 0 melan… █0.90"


def test_a_list_without_rows_is_its_names() -> None:
    console = plain(20)
    console.print(TextTable(["a", "b"], []))
    assert printed(console) == "a  b\n"


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (21, ["head  current-  share", "         token", "2.6       0.85   0.10"]),
        (20, ["head  current-", "         token", "2.6       0.85", "no room for share:", "--json"]),
    ],
)
def test_the_last_columns_of_a_list_are_left_out_and_named(width: int, lines: list[str]) -> None:
    console = plain(width)
    names = ("head", "current-\ntoken", "share")
    console.print(TextTable(names, [("2.6", "0.85", "0.10")], right=(1, 2), rest="--json"))
    assert printed(console).splitlines() == lines


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def wide(count: int) -> Grid:
    """A row with uniform weights on this many keys, with long names."""
    return grid_of("w", np.full((1, count), 1 / count), [LETTERS], [LETTERS] * count, limits=(0, 1))


def test_eight_keys_are_listed_by_default_if_they_fit() -> None:
    line = drawn(uniform(80), width=200)[1]
    assert [word for word in line.split() if word.startswith("t")] == ["t0", *(f"t{i}" for i in range(8))]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (200, "0 abcdefghijklmnopq… →  0 abcdefghijk…  0.02   1 abcdefghijk…  0.02"),
        (100, "0 abcdefghijklmnopq… →  0 abcdefghijk…  0.02   1 abcdefghijk…  0.02"),
        (40, "0 abcde… →  0 abcd…  0.02   1 abc…  0.02"),
        (30, "0 abcdef… →  0 abcdefgh…  0.02"),
        (20, "0 abc… →  0 a…  0.02"),
    ],
)
def test_names_in_a_list_have_a_share_of_the_width(width: int, line: str) -> None:
    (row,) = [row for row in drawn(wide(60), width) if "→" in row]
    assert row.startswith(line)


def test_a_row_in_which_a_token_stands_out_leaves_small_values_their_digits() -> None:
    values = np.array([[0.5, 0.003], [0.004, 0.002], [0.003, 0.001]])
    lines = drawn(grid_of("w", values, "abc", "de", limits=(0, 1)), top=1)
    assert [line.split()[-1].strip("░▒▓█") for line in lines[1:4]] == ["0.5000", "0.0040", "0.0030"]
    lines = drawn(grid_of("w", 5 * values, "abc", "de", limits=(0, 1)), top=1)
    assert [line.split()[-1].strip("░▒▓█") for line in lines[1:4]] == ["2.50", "0.02", "0.01"]


@pytest.mark.parametrize("width", [120, 60])
def test_names_around_a_table_are_cut_however_much_room_there_is(width: int) -> None:
    assert drawn(wide(3), width)[1:] == [
        "                             0        1        2",
        "                      abcdefgh abcdefgh abcdefgh",
        "                      ijklmnop ijklmnop ijklmnop",
        "                      qrstuvw… qrstuvw… qrstuvw…",
        "0 abcdefghijklmnopq…     ░0.33    ░0.33    ░0.33",
    ]


@pytest.mark.parametrize(
    ("value", "row"), [(999_999.5, "0 a █999999.50      0.50"), (1e6, "0 a █  1.00e+06   5.00e-01")]
)
def test_a_million_has_an_exponent(value: float, row: str) -> None:
    assert drawn(grid_of("scores 0.0", np.array([[value, 0.5]]), ["a"], ["a", "b"]))[-1] == row


def test_a_paragraph_has_twelve_lines() -> None:
    console = plain(10)
    console.print(Paragraph(["a phrase"] * 13, rest="the rest"))
    assert printed(console).splitlines() == [*["a phrase"] * 12, "1 more;", "the rest"]
    many = plain(20)
    many.print(Paragraph(["a phrase"] * 40_000, rest="the rest", most=2))
    assert printed(many).splitlines() == [*["a phrase  a phrase"] * 2, "39,996 more; the", "rest"]
    short = plain(19)
    short.print(Paragraph(["a"] * 1000, between=" ", rest="the rest", most=2))
    assert printed(short).splitlines() == [*["a a a a a a a a a a"] * 2, "980 more; the rest"]
    whole = plain(10)
    whole.print(Paragraph(["a phrase"] * 12, rest="the rest"))
    assert printed(whole).splitlines() == ["a phrase"] * 12
