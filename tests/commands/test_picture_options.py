"""`--title`, `--width`, `--font-size`, `--font`, `--transparent` and `--theme` of pictures."""

from pathlib import Path

import pytest

from tests.commands.test_heatmap import words
from tests.support.families import TRANSLATORS
from tests.support.pdf_bytes import page_size, type_sizes
from tests.support.small_fonts import write_font
from tests.support.worlds import Answer, attn, attn_in_terminal, refused

TEXT = "the cat sat and the cat sat"
HEAD = ("heatmap", TEXT, "--heads", "2.6")
USUAL = "--width 3.3in, 8.5cm, 84mm or 1200px"


def heading(tmp_path: Path, *line: str) -> list[str]:
    """The words of the heading: those above the first panel."""
    path = tmp_path / "a.svg"
    assert attn(*line, "-o", path, "--force").status == 0
    return words(path)[:2]


def width_of(tmp_path: Path, *line: str) -> float:
    """The width of the picture in inches."""
    answer = attn(*line, "-o", tmp_path / "a.pdf", "--force")
    assert answer.status == 0, answer.err
    return page_size((tmp_path / "a.pdf").read_bytes())[0] / 72


COMMANDS = {
    "heatmap": HEAD,
    "several": ("heatmap", TEXT, "--heads", "2.6,3.0", "-s", "weights,scores"),
    "grid": ("heatmap", TEXT),
    "text": ("heatmap", TEXT, "--heads", "2.6", "--as-text"),
    "heads": ("heads", TEXT),
    "compare": ("compare", TEXT, "--heads", "2.6,3.0"),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("typed", "inches"), [("4in", 4.0), ("12.7cm", 5.0), ("127 mm", 5.0), ("600px", 4.0), ("4.5IN", 4.5)]
)
def test_pictures_of_every_command_have_the_width_that_is_asked_for(
    name: str, typed: str, inches: float, tmp_path: Path
) -> None:
    assert width_of(tmp_path, *COMMANDS[name], "--width", typed) == pytest.approx(inches, abs=1e-6)


def test_pixels_are_those_of_a_png_at_its_resolution(tmp_path: Path) -> None:
    assert width_of(tmp_path, *HEAD, "--width", "1200px", "--dpi", "300") == pytest.approx(4.0)
    assert attn(*HEAD, "--width", "1201px", "--dpi", "300", "-o", tmp_path / "a.png").status == 0
    assert int.from_bytes((tmp_path / "a.png").read_bytes()[16:20], "big") == 1201


@pytest.mark.parametrize(
    ("typed", "problem", "hint"),
    [
        ("0", "the width of a picture needs a unit: '0' has none", "--width 1200px, or --width 3.3in"),
        ("640", "the width of a picture needs a unit: '640' has none", "--width 640px, or --width 3.3in"),
        ("3.3", "--width 3.3 has no unit: it must be one of in, cm, mm, px", USUAL),
        ("0in", "--width 0in is out of range: a picture is 1in to 100in wide", "--width 3.3in"),
        ("-3in", "--width -3in is out of range: a picture is 1in to 100in wide", "--width 3.3in"),
        ("1e9in", "--width 1e9in is out of range: a picture is 1in to 100in wide", "--width 3.3in"),
        ("1e400cm", "--width 1e400cm is out of range: a picture is 2.54cm to 254cm wide", "--width 3.3in"),
        (
            "20px",
            "--width 20px is out of range: a picture is 150px to 15000px wide at --dpi 150",
            "--width 1200px",
        ),
        ("nan", "--width takes a number with a unit (in, cm, mm, px), not 'nan'", "--width 3.3in"),
        ("infcm", "--width takes a number with a unit (in, cm, mm, px), not 'infcm'", "--width 3.3in"),
        ("8,5cm", "--width takes a number with a unit (in, cm, mm, px), not '8,5cm'", "--width 8.5cm"),
        ("3in4", "--width takes a number with a unit (in, cm, mm, px), not '3in4'", "--width 3.3in"),
        ("٣in", "--width takes a number with a unit (in, cm, mm, px), not '٣in'", "--width 3.3in"),
        ("252pt", "--width 252pt has the unit 'pt': it must be one of in, cm, mm, px", "--width 3.5in"),
        ("3inches", "--width 3inches has the unit 'inches': it must be one of in, cm, mm, px", "--width 3in"),
        ('3"', "--width 3\" has the unit '\"': it must be one of in, cm, mm, px", "--width 3in"),
        ("50%", "--width 50% has the unit '%': it must be one of in, cm, mm, px", USUAL),
    ],
)
def test_a_width_out_of_sense_is_refused(typed: str, problem: str, hint: str, tmp_path: Path) -> None:
    answer = attn(*HEAD, f"--width={typed}", "-o", tmp_path / "a.png")
    assert refused(answer) == (2, problem, hint)


def test_two_widths_are_refused(tmp_path: Path) -> None:
    answer = attn(*HEAD, "--width", "3in", "--width", "4in", "-o", tmp_path / "a.png")
    assert refused(answer) == (2, "--width is given twice: '3in' and '4in'", "leave one of them out")


def test_a_width_too_narrow_for_labels_is_refused_with_one_that_is_not(tmp_path: Path) -> None:
    for line in (HEAD, COMMANDS["text"]):
        status, problem, hint = refused(
            attn(*line, "--width", "1in", "--font-size", "20", "-o", tmp_path / "a.png")
        )
        assert status == 2
        assert problem.startswith("--width leaves no room for ")
        assert problem.endswith(" with labels of 20 points: it is 1in")
        needed = hint.removeprefix("--width ").partition(",")[0]
        assert width_of(tmp_path, *line, "--width", needed, "--font-size", "20") >= 1.5


def test_a_number_without_a_unit_is_the_width_of_the_random_layer(tmp_path: Path) -> None:
    line = ("heads", TEXT, "-m", "random", "--head-count", "2")
    assert '"width": 32' in attn(*line, "--width", "32", "--json").out
    assert attn("inspect", TEXT, "-m", "random", "-H", "0", "--width", "32").status == 0
    both = ("--width", "32", "--width", "3in")
    assert width_of(tmp_path, *line, *both) == pytest.approx(3.0)
    answer = attn(*line, "--width", "0", "-o", tmp_path / "a.png")
    problem = "--width takes a whole number from 1 to 65536, not '0'"
    assert refused(answer) == (2, problem, "--width 1, or for the picture --width 3.3in")


def test_commands_without_pictures_take_no_length() -> None:
    answer = attn("inspect", TEXT, "-m", "random", "--width", "3.3in")
    assert refused(answer) == (
        2,
        "--width takes a whole number from 1 to 65536, not '3.3in'",
        "--width 64, or for a picture attn heatmap with --width 3.3in",
    )


def sizes(tmp_path: Path, *line: str) -> set[float]:
    assert attn(*line, "-o", tmp_path / "a.pdf", "--force").status == 0
    return type_sizes((tmp_path / "a.pdf").read_bytes())


@pytest.mark.parametrize("name", COMMANDS)
def test_labels_of_every_command_have_the_size_that_is_asked_for(name: str, tmp_path: Path) -> None:
    assert {8.0, 10.0} <= sizes(tmp_path, *COMMANDS[name], "--width", "5in")
    assert {10.0, 12.5} <= sizes(tmp_path, *COMMANDS[name], "--width", "6in", "--font-size", "10pt")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("0", "4"),
        ("-8", "4"),
        ("3.9", "4"),
        ("49", "48"),
        ("1e400", "48"),
        ("nan", "8"),
        ("8px", "8"),
        ("a", "8"),
    ],
)
def test_a_size_out_of_sense_is_refused(typed: str, hint: str, tmp_path: Path) -> None:
    answer = attn(*HEAD, f"--font-size={typed}", "-o", tmp_path / "a.png")
    problem = f"--font-size takes points from 4 to 48, not '{typed}'"
    assert refused(answer) == (2, problem, f"--font-size {hint}")


@pytest.mark.parametrize("typed", ["4", "48"])
def test_the_limits_of_the_size_are_sizes(typed: str, tmp_path: Path) -> None:
    assert attn(*HEAD, "--font-size", typed, "-o", tmp_path / "a.svg").status == 0


def test_the_heading_is_the_text_and_the_head_in_words(tmp_path: Path) -> None:
    assert heading(tmp_path, *HEAD) == [TEXT, "layer 2, head 6: induction · storybook"]
    assert heading(tmp_path, *COMMANDS["several"]) == [TEXT, "heads 2.6 and 3.0 · storybook"]
    assert heading(tmp_path, *COMMANDS["grid"]) == [TEXT, "4 layers × 8 heads · storybook"]
    assert heading(tmp_path, "heatmap", TEXT, "-l", "1") == [TEXT, "layer 1, all 8 heads · storybook"]
    assert (
        heading(tmp_path, "heatmap", TEXT, "-l", "1", "-H", "0-2")[1]
        == "layer 1, heads 0, 1 and 2 · storybook"
    )
    assert heading(tmp_path, "heatmap", TEXT, "-H", "0-2")[1] == "12 heads of 4 layers · storybook"
    assert heading(tmp_path, *COMMANDS["compare"])[1] == "heads 2.6 and 3.0 · storybook"
    assert heading(tmp_path, *COMMANDS["text"])[0] == "layer 2, head 6: induction · 8 tokens · storybook"
    first = heading(tmp_path, *COMMANDS["heads"])
    assert first == [TEXT, "4 layers × 8 heads · entropy of each head · storybook"]


def test_the_heading_of_cross_attention_is_both_texts(tmp_path: Path) -> None:
    TRANSLATORS["t5"].save(tmp_path / "t5")
    line = ("heatmap", TEXT, "-m", str(tmp_path / "t5"), "--target", "the dog", "--heads", "0.1")
    assert heading(tmp_path, *line, "--kind", "cross") == [TEXT, "→ the dog"]
    assert "layer 0, head 1 · cross attention · t5" in words(tmp_path / "a.svg")
    assert heading(tmp_path, *line, "--kind", "decoder")[0] == "the dog"
    assert heading(tmp_path, *line, "--kind", "encoder")[0] == TEXT
    heading(tmp_path, *line, "--kind", "cross")
    assert {"query (decoder)", "key (encoder)"} <= set(words(tmp_path / "a.svg"))


def test_a_title_replaces_the_heading_and_none_removes_it(tmp_path: Path) -> None:
    assert heading(tmp_path, *HEAD, "--title", "Who looks at whom?")[0] == "Who looks at whom?"
    assert "layer 2, head 6: induction · storybook" not in words(tmp_path / "a.svg")
    for nothing in (("--no-title",), ("--title", "")):
        heading(tmp_path, *HEAD, *nothing)
        assert not {TEXT, "layer 2, head 6: induction · storybook"} & set(words(tmp_path / "a.svg"))


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("$x^2$ a_b \\alpha {c} $", "$x^2$ a_b \\alpha {c} $"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("one\ntwo\tthree", "one two three"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202etxet", "\\u202etxet"),
        ("a\u2066b\u200bc", "a\\u2066b\\u200bc"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_title_is_never_a_formula_markup_or_a_control_character(
    title: str, shown: str, tmp_path: Path
) -> None:
    assert heading(tmp_path, *HEAD, "--title", title)[0] == shown
    for suffix in ("png", "pdf"):
        assert attn(*HEAD, "--title", title, "-o", tmp_path / f"a.{suffix}").status == 0


def test_a_title_and_none_contradict_each_other(tmp_path: Path) -> None:
    answer = attn(*HEAD, "--title", "a", "--no-title", "-o", tmp_path / "a.png")
    problem = "--title and --no-title contradict each other: 'a'"
    assert refused(answer) == (2, problem, "leave one of them out")


def ground(tmp_path: Path, *line: str, **environment: str) -> str:
    """The fill of the page."""
    path = tmp_path / "a.svg"
    assert attn(*line, "-o", path, "--force", **environment).status == 0
    return path.read_text("utf-8").partition('<g id="patch_1">')[2].partition("fill: ")[2][:7]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_theme_is_the_ground_of_pictures(name: str, tmp_path: Path) -> None:
    line = COMMANDS[name]
    assert ground(tmp_path, *line) == ground(tmp_path, *line, "--theme", "paper") == "#ffffff"
    assert ground(tmp_path, *line, "--theme", "light") == "#ffffff"
    assert ground(tmp_path, *line, "--theme", "dark") == "#16161a"
    assert ground(tmp_path, *line, "--theme", "dark", "--transparent").startswith("none")


@pytest.mark.parametrize("name", ["heatmap", "heads", "compare"])
def test_the_theme_of_the_terminal_is_not_that_of_pictures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTN_THEME", "dark")
    assert ground(tmp_path, *COMMANDS[name], COLORFGBG="15;0") == "#ffffff"
    assert ground(tmp_path, *COMMANDS[name], "--theme", "dark") == "#16161a"


def test_paper_is_light_in_a_terminal() -> None:
    def screen(theme: str) -> Answer:
        return attn(
            "heads", TEXT, "--theme", theme, FORCE_COLOR="1", COLORTERM="truecolor", TERM="xterm-256color"
        )

    assert screen("paper").out == screen("light").out != screen("dark").out


def test_a_font_and_what_it_lacks(tmp_path: Path) -> None:
    font = write_font(tmp_path / "few.ttf", "Few Letters")
    answer = attn(*HEAD, "--font", font, "--title", "cat", "--limits", "0,1", "-o", tmp_path / "a.svg")
    assert answer.err.splitlines()[-1] == (
        "Few Letters has no . 0 1 2 3 4 5 6 7 8 9 < and 5 more: drawn in another font"
    )
    assert "'Few Letters', 'DejaVu Sans', sans-serif" in (tmp_path / "a.svg").read_text("utf-8")


def test_a_font_is_checked_before_anything_is_read(tmp_path: Path) -> None:
    answer = attn(*HEAD, "-m", "/no/model", "--font", tmp_path / "none.ttf", "-o", tmp_path / "a.png")
    assert refused(answer) == (
        2,
        f"--font {tmp_path / 'none.ttf'} does not exist",
        "check the path after --font",
    )


@pytest.mark.parametrize("command", ["heatmap", "heads", "compare"])
def test_the_help_presents_each_option_once(command: str) -> None:
    page = attn_in_terminal(command, "--help", COLUMNS="100").out
    for option in (
        "--title TEXT",
        "--no-title",
        "--width LENGTH",
        "--font-size PT",
        "--font FILE",
        "--theme THEME",
    ):
        assert page.count(f"  {option} ") == 1


@pytest.mark.parametrize(
    "typed",
    [
        ("--title", "Who?"),
        ("--no-title",),
        ("--width", "3.3in"),
        ("--font-size", "9"),
        ("--font", "a.ttf"),
        ("--transparent",),
        ("--cmap", "magma"),
    ],
)
def test_options_of_pictures_are_refused_if_no_picture_is_written(
    typed: tuple[str, ...], tmp_path: Path
) -> None:
    problem = f"{typed[0]} applies only to pictures: no picture is written"
    hint = f"-o FILE.png, or leave out {typed[0]}"
    assert refused(attn(*COMMANDS["heads"], *typed)) == (2, problem, hint)
    assert refused(attn(*COMMANDS["compare"], *typed, "-o", tmp_path / "a.json")) == (2, problem, hint)


def test_a_width_without_a_unit_is_no_option_of_pictures() -> None:
    assert attn("heads", TEXT, "-m", "random", "--width", "32").status == 0
