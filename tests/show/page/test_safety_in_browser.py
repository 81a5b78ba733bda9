"""Texts and names from outside do nothing, wherever the page shows or saves them."""

import csv
import io
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.show.page.conftest import Written
from tests.show.page.test_saving_in_browser import saved, texts
from tests.support.browser import OpenPage

pytestmark = pytest.mark.browser

ATTACK = (
    "</script><img src=x onerror=alert(1)> <!-- ]]> javascript:alert(1) \u202eevil \x1b[31m \u2028 &amp; cat"
)
NAME = "<img src=x onerror=alert(1)>]]>&amp;\u202e\u2066"
_NOTHING = (
    "[document.querySelectorAll('img, iframe, object, embed, a[href]').length, document.scripts.length]"
)
_UNSEEN = range(0x20), range(0x7F, 0xA0), range(0x200E, 0x2010), range(0x2028, 0x202F), range(0x2066, 0x206A)


def obeyed(text: str) -> list[str]:
    """Control and bidirectional characters, other than line ends and the isolates around labels."""
    return [
        one for one in text if one not in "\n\t\u2068\u2069" and any(ord(one) in span for span in _UNSEEN)
    ]


@pytest.fixture(scope="module")
def page(chromium: Any, written: Written) -> OpenPage:
    return OpenPage(chromium, written(ATTACK, "-m", "random"))


@pytest.mark.parametrize("metric", ["matrices", "entropy"])
@pytest.mark.parametrize("direction", ["from", "to"])
def test_no_view_runs_or_obeys_a_token(metric: str, direction: str, page: OpenPage) -> None:
    page.run(f"attn.change({{ metric: '{metric}', direction: '{direction}', all: true }})")
    for _ in range(len(page.run("attn.about.texts[0].labels"))):
        page.press("ArrowDown", "ArrowRight")
    assert page.run(_NOTHING) == [0, 4]
    assert page.said == []
    assert [one for one in page.asked if not one.startswith("blob:")] == [page.address]
    for source in (
        "document.title",
        "document.body.innerText",
        "document.getElementById('live').textContent",
    ):
        assert obeyed(page.run(source)) == [], source
    labels = page.run("[...document.querySelectorAll('[aria-label]')].map((one) => one.ariaLabel).join('')")
    assert obeyed(labels) == []


def test_a_saved_picture_has_tokens_as_text(page: OpenPage, tmp_path: Path) -> None:
    file = saved(page, "save-svg", tmp_path)
    root = ET.parse(file).getroot()  # noqa: S314  our own
    tags = {found.tag.rpartition("}")[2] for found in root.iter()}
    assert tags <= {"svg", "g", "rect", "path", "text", "clipPath"}
    assert not any(name.startswith("on") or "href" in name for found in root.iter() for name in found.attrib)
    assert {"<", ">", "&"} <= {found.strip() for found in texts(file)}
    assert [one for text in texts(file) for one in obeyed(text)] == []


def test_a_saved_row_has_tokens_as_they_are(page: OpenPage, tmp_path: Path) -> None:
    page.run("attn.change({ query: attn.about.texts[0].labels.length - 1, direction: 'from' })")
    page.drawn()
    content = saved(page, "save-csv", tmp_path).read_text("utf-8")
    _, *rows = csv.reader(io.StringIO(content, newline=""))
    assert [row[1].removeprefix("'") for row in rows] == page.run("attn.about.texts[0].labels")
    assert obeyed(content) == []


def test_a_page_without_scripts_shows_tokens_as_text(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(ATTACK, "-m", "random"), java_script_enabled=False)
    assert page.run("document.querySelectorAll('img').length") == 0
    assert "<img src=x onerror=alert(1)>" in page.tab.inner_text("noscript .text")
    assert obeyed(page.tab.inner_text("noscript")) == []
    assert page.asked == [page.address]


def test_the_name_of_a_model_is_text(twins: Path, tmp_path: Path, chromium: Any, written: Written) -> None:
    model = tmp_path / NAME.replace("/", "")
    shutil.copytree(twins / "gpt2", model)
    page = OpenPage(chromium, written("the cat sat", "-m", model))
    assert page.run(_NOTHING) == [0, 4]
    assert page.said == []
    assert "<img src=x onerror=alert(1)>]]>&amp;" in page.tab.inner_text("h1")
    for source in ("document.title", "document.body.innerText"):
        assert obeyed(page.run(source)) == [], source
    assert texts(saved(page, "save-svg", tmp_path))[0] == page.tab.inner_text("h1")


def test_marks_that_tower_stay_within_their_line(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written("a" + "\u0301" * 300 + " cat", "-m", "random"))
    assert page.run("getComputedStyle(document.getElementById('text')).contain") == "paint"
    assert page.run("document.getElementById('row').scrollHeight") < 2_000
    assert page.said == []
