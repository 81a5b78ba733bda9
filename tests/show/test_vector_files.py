"""Pictures as .pdf and .svg: text is text in embedded fonts, at the size and width that were asked for."""

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from attn_cli.show import picture
from attn_cli.show.picture import render
from attn_cli.show.picture.canvas import Canvas
from tests.show.test_canvas import HEADING, ONE, PICTURES
from tests.support.pdf_bytes import embedded_fonts, outlines, page_size, type_sizes
from tests.support.small_fonts import write_font

COLUMN = Canvas(width=3.3, size=8.0)
NUMBERS = 5.0  # points: the least size of numbers in cells

LATEX = r"""
\documentclass{article}
\usepackage{graphicx}
\usepackage[paperwidth=4in,paperheight=6in,margin=0.3in]{geometry}
\begin{document}
\includegraphics{head.pdf}
\end{document}
"""


@pytest.mark.parametrize("name", PICTURES)
def test_a_pdf_is_as_wide_as_asked_for_with_labels_of_eight_points(name: str) -> None:
    pdf = render(picture.page(PICTURES[name], HEADING, COLUMN), ".pdf")
    assert page_size(pdf)[0] == pytest.approx(237.6)  # 3.3 inches
    assert 8.0 in type_sizes(pdf)
    assert min(type_sizes(pdf)) >= NUMBERS


def test_the_fonts_of_a_pdf_are_embedded_as_truetype() -> None:
    pdf = render(picture.page(ONE, HEADING, COLUMN), ".pdf")
    assert embedded_fonts(pdf) == ["DejaVuSans"]
    assert outlines(pdf) == {b"\x00\x01\x00\x00"}
    assert b"/Type3" not in pdf


def test_a_font_from_a_file_is_embedded_beside_the_one_for_what_it_lacks(tmp_path: Path) -> None:
    canvas = Canvas(width=3.3, font=write_font(tmp_path / "letters.ttf", "Letters A"))
    assert embedded_fonts(render(picture.page(ONE, HEADING, canvas), ".pdf")) == [
        "DejaVuSans",
        "LettersA-Regular",
    ]


def test_outlines_that_are_not_truetype_are_not_embedded_as_such(tmp_path: Path) -> None:
    canvas = Canvas(width=3.3, font=write_font(tmp_path / "letters.otf", "Letters B"))
    pdf = render(picture.page(ONE, HEADING, canvas), ".pdf")
    assert outlines(pdf) == set()
    assert b"/Type3" in pdf


def test_the_words_of_an_svg_are_text_in_a_font_with_a_fallback() -> None:
    svg = render(picture.page(ONE, HEADING, COLUMN), ".svg")
    root = ET.fromstring(svg)  # noqa: S314  our own file
    assert (root.get("width"), root.get("viewBox", "").split()[2]) == ("237.6pt", "237.6")
    texts = [element for element in root.iter() if element.tag.endswith("}text")]
    words = {"".join(element.itertext()) for element in texts}
    assert {"query", "key", "weight, linear scale", "layer 2, head 7: induction · storybook"} <= words
    assert all("'DejaVu Sans', sans-serif;" in element.get("style", "") for element in texts)


@pytest.mark.latex
def test_a_pdf_in_a_latex_document_keeps_its_width_and_fonts(tmp_path: Path) -> None:
    (tmp_path / "head.pdf").write_bytes(render(picture.page(ONE, HEADING, COLUMN), ".pdf"))
    (tmp_path / "paper.tex").write_text(LATEX, "utf-8")
    line = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    told = subprocess.run(line, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "Overfull" not in told
    assert re.search(r"head\.pdf", told)
    assert b"DejaVuSans" in (tmp_path / "paper.pdf").read_bytes()
