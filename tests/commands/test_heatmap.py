"""`attn heatmap`: pictures of one head, several, or a whole model."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.worlds import attn

TEXT = "the cat sat on the mat"
SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-", "svg": b"<?xml"}


def words(path: Path) -> list[str]:
    """The text in an SVG, piece by piece."""
    found = ET.fromstring(path.read_bytes()).iter()  # noqa: S314  our own file
    return ["".join(element.itertext()).strip() for element in found if element.tag.endswith("text")]


def drawn(tmp_path: Path, *arguments: str | Path) -> list[str]:
    """The words of the picture."""
    answer = attn("heatmap", TEXT, "-o", tmp_path / "a.svg", *arguments)
    assert (answer.status, answer.out, answer.err) == (0, "", f"wrote {tmp_path / 'a.svg'}\n")
    return words(tmp_path / "a.svg")


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_the_suffix_determines_the_file_type(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    assert attn("heatmap", TEXT, "-H", "0", "-o", path).status == 0
    assert path.read_bytes().startswith(SIGNATURES[suffix])


def test_one_command_writes_several_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"a.{suffix}" for suffix in SIGNATURES]
    answer = attn("heatmap", TEXT, *(argument for path in paths for argument in ("-o", path)), "-m", "random")
    assert answer.err.splitlines() == [f"wrote {path}" for path in paths]
    assert [path for path in paths if path.stat().st_size > 1000] == paths


def test_a_picture_names_the_step_the_head_the_tokens_and_the_model(tmp_path: Path, twins: Path) -> None:
    found = drawn(tmp_path, "-m", twins / "bert", "--heads", "1.2")
    assert found.count("cat") == 2
    assert TEXT in found
    assert "layer 1, head 2 · bert" in found
    assert "weight, linear scale" in found
    assert not any("1.2" in word for word in found)


def test_a_whole_model_is_a_grid_of_every_head(tmp_path: Path, twins: Path) -> None:
    found = drawn(tmp_path, "-m", twins / "bert")
    margins = found[found.index("layer") - 3 : found.index("head")]
    assert margins == ["0", "1", "2", "layer", "0", "1", "2", "3"]


def test_scores_are_drawn_too(tmp_path: Path, twins: Path) -> None:
    found = drawn(tmp_path, "-m", twins / "gpt2", "--heads", "0.1", "-s", "scores", "--cmap", "PuOr")
    assert any(word.startswith("score (q·k × ") for word in found)


def test_dots_per_inch_make_a_larger_picture(tmp_path: Path) -> None:
    for dpi in ("50", "100"):
        attn("heatmap", TEXT, "-H", "0", "-o", tmp_path / f"{dpi}.png", "--dpi", dpi)
    width = {
        dpi: int.from_bytes((tmp_path / f"{dpi}.png").read_bytes()[16:20], "big") for dpi in ("50", "100")
    }
    assert width["100"] == pytest.approx(2 * width["50"], abs=2)


def test_markup_in_tokens_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    attn("heatmap", "<b> $x$ & \x1b[0m [/bold]", "-H", "0", "-o", path)
    assert {"<", "$", "&", "\\x1b"} <= set(words(path))


def test_a_missing_glyph_gets_a_remark(tmp_path: Path) -> None:
    answer = attn("heatmap", "the \U00012000 cat", "-H", "0", "-m", "random", "-o", tmp_path / "a.png")
    assert answer.err.splitlines()[-1] == "no installed font has \U00012000: spelled out in the picture"


@pytest.mark.parametrize(("dpi", "status"), [("9", 2), ("10", 0), ("2400", 0), ("2401", 2)])
def test_dpi_is_between_10_and_2400(dpi: str, status: int, tmp_path: Path) -> None:
    answer = attn("heatmap", "a", "-m", "random", "-H", "0", "--dpi", dpi, "-o", tmp_path / "a.svg")
    assert answer.status == status


def test_the_default_is_150_dpi(tmp_path: Path) -> None:
    line = ("heatmap", "a", "-m", "random", "-H", "0", "-o")
    attn(*line, tmp_path / "a.png")
    attn(*line, tmp_path / "b.png", "--dpi", "150")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
