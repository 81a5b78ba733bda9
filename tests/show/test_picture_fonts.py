"""`--font`: a font from a file, what it lacks, and files that are not fonts."""

import os
from pathlib import Path

import pytest
from matplotlib.font_manager import FontProperties, findfont, fontManager

from attn_cli.errors import UsageError
from attn_cli.show import picture
from attn_cli.show.picture import check_canvas, render
from attn_cli.show.picture.canvas import Canvas
from attn_cli.show.picture.font_file import known_font
from attn_cli.show.picture.heading import Heading
from attn_cli.show.picture.marks import Drawing
from tests.show.test_picture import weights_of
from tests.support.small_fonts import write_font
from tests.support.words_on_page import cut_off

HINT = "--font NAME.ttf or NAME.otf, or leave out --font"
DEJAVU = Path(findfont("DejaVu Sans"))


def drawn(font: Path, *tokens: str) -> Drawing:
    return picture.page([[[weights_of(*tokens, title="")]]], Heading(), Canvas(font=font))


@pytest.mark.parametrize("suffix", [".ttf", ".otf"])
def test_a_font_from_a_file_is_used_and_measured(suffix: str, tmp_path: Path) -> None:
    font = write_font(tmp_path / f"wide{suffix}", f"Wide {suffix[1:]}", "catdog", wide=1500)
    wide, usual = drawn(font, "cat", "dog"), picture.page([[[weights_of("cat", "dog", title="")]]], Heading())
    assert wide.families == (f"Wide {suffix[1:]}", "DejaVu Sans")
    assert wide.height > usual.height + 0.3  # three letters of 1.5 instead of about 0.6
    assert cut_off(wide) == []
    assert all(render(wide, kind) for kind in (".png", ".svg", ".pdf"))


def test_what_a_font_lacks_is_drawn_in_another_and_named(tmp_path: Path) -> None:
    drawing = drawn(write_font(tmp_path / "few.ttf", "Few"), "cat", "é中", "\U00012345")
    assert drawing.families[:2] == ("Few", "DejaVu Sans")
    assert "é" in drawing.lacking
    assert "c" not in drawing.lacking
    assert "\U00012345" in drawing.missing
    assert "\U00012345" not in drawing.lacking


def test_the_usual_font_lacks_nothing_that_a_remark_would_name() -> None:
    assert picture.page([[[weights_of("cat", "dog")]]], Heading("title")).lacking == ()


def test_a_file_of_an_installed_font_is_that_font() -> None:
    assert known_font(DEJAVU) == "DejaVu Sans"


def test_another_weight_of_an_installed_family_has_a_name_of_its_own() -> None:
    bold = DEJAVU.with_name("DejaVuSans-Bold.ttf")
    assert known_font(bold) == known_font(bold) == "DejaVu Sans Bold"
    assert findfont(FontProperties(family=["DejaVu Sans Bold"])) == str(bold)
    assert findfont(FontProperties(family=["DejaVu Sans"])) == str(DEJAVU)


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files = [write_font(folder / "twin.ttf", "Twin") for folder in (tmp_path, tmp_path / "other")]
    names = [known_font(file) for file in files]
    assert names[0] == "Twin"
    assert names[1] != "Twin"
    assert [findfont(FontProperties(family=[name])) for name in names] == list(map(str, files))
    assert sum(font.name == "Twin" for font in fontManager.ttflist) >= 1


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not a font"),
        (b"hello, world", "not a font"),
        (b"ttcf\x00\x01\x00\x00", "a collection of several fonts"),
        (b"wOF2\x00\x01\x00\x00", "a web font"),
        (b"%!PS-AdobeFont-1.0", "a Type 1 font"),
        (b"\x80\x01\x00\x00", "a Type 1 font"),
    ],
)
def test_a_file_that_is_no_font_is_refused(content: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "a.ttf").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        check_canvas(Canvas(font=tmp_path / "a.ttf"))
    problem = f"--font {tmp_path / 'a.ttf'} is {what}: it must be a .ttf or .otf file"
    assert (caught.value.problem, caught.value.hint) == (problem, HINT)


@pytest.mark.parametrize("length", [4, 100, 1000, 5000, 20000, 300000])
def test_a_font_cut_short_is_refused(length: int, tmp_path: Path) -> None:
    (tmp_path / "cut.ttf").write_bytes(DEJAVU.read_bytes()[:length])
    with pytest.raises(UsageError) as caught:
        known_font(tmp_path / "cut.ttf")
    problem = f"--font {tmp_path / 'cut.ttf'} is damaged: no font can be read from it"
    assert (caught.value.problem, caught.value.hint) == (problem, HINT)


def test_a_font_that_does_not_exist_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        known_font(tmp_path / "none.ttf")
    assert caught.value.problem == f"--font {tmp_path / 'none.ttf'} does not exist"
    assert caught.value.hint == "check the path after --font"
    with pytest.raises(UsageError) as caught:
        known_font(tmp_path)
    assert caught.value.problem == f"--font {tmp_path} cannot be read: it is a directory"
    os.mkfifo(tmp_path / "pipe.ttf")
    with pytest.raises(UsageError) as caught:
        known_font(tmp_path / "pipe.ttf")
    assert caught.value.problem == f"--font {tmp_path / 'pipe.ttf'} cannot be read: it is no file"
