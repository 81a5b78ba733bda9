"""Pictures, rows and links that are taken from the page: whole, exact, and harmless."""

import csv
import io
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage

pytestmark = pytest.mark.browser

STORY = "Then Uncle Sam sang, and Uncle Sam sang well."
SVG = "{http://www.w3.org/2000/svg}"
FORMULAS = "=1+1 +2 -3 @SUM 'quoted' \"double\" a,b"


def saved(page: OpenPage, button: str, directory: Path) -> Path:
    """The file that a button saves."""
    page.run("document.getElementById('save').open = true")
    with page.tab.expect_download() as download:
        page.tab.click(f"#{button}")
    file: Path = directory / download.value.suggested_filename
    download.value.save_as(file)
    return file


def texts(file: Path) -> list[str]:
    return [found.text or "" for found in ET.parse(file).iter(f"{SVG}text")]  # noqa: S314  our own


@pytest.fixture
def page(chromium: Any, written: Written) -> OpenPage:
    return OpenPage(chromium, written(STORY), "#head=2.7&query=8&key=4")


def test_a_picture_has_its_labels_and_the_statement_of_error_as_text(page: OpenPage, tmp_path: Path) -> None:
    file = saved(page, "save-svg", tmp_path)
    assert file.name == "attn-2.7.svg"
    assert page.text("done") == "Saved attn-2.7.svg"
    found = texts(file)
    assert found[:3] == ["storybook", "Head 2.7", page.text("readout")]
    assert {"Uncle", "sang", "Sam"} <= set(found)
    assert found[3] == page.text("precision")
    assert page.said == []
    assert page.asked[1:] == [address for address in page.asked if address.startswith("blob:")]


def test_a_picture_has_a_rectangle_for_each_run_of_equal_weights(page: OpenPage, tmp_path: Path) -> None:
    root = ET.parse(saved(page, "save-svg", tmp_path)).getroot()  # noqa: S314  our own
    (matrix,) = [found for found in root.iter(f"{SVG}svg") if found is not root]
    runs = "".join(path.get("d") or "" for path in matrix).split("M")[1:]
    lengths = [int(run.split("h")[1].split("v")[0]) for run in runs]
    assert sum(lengths) == 12 * 13 // 2  # the visible cells
    assert matrix.get("viewBox") == "0 0 12 12"


def test_what_is_zoomed_is_saved_as_it_is_seen(page: OpenPage, tmp_path: Path) -> None:
    page.tab.set_viewport_size({"width": 600, "height": 500})
    page.press("+", "+")
    root = ET.parse(saved(page, "save-svg", tmp_path)).getroot()  # noqa: S314  our own
    (matrix,) = [found for found in root.iter(f"{SVG}svg") if found is not root]
    assert float((matrix.get("viewBox") or "").split()[2]) < 12


@pytest.mark.parametrize("metric", ["matrices", "entropy"])
def test_the_map_is_saved_too(metric: str, page: OpenPage, tmp_path: Path) -> None:
    page.run(f"attn.change({{ metric: '{metric}' }})")
    if metric == "matrices":
        page.wait("document.getElementById('map').dataset.complete")
    page.drawn()
    page.run("document.getElementById('save-part').value = 'heads'")
    root = ET.parse(saved(page, "save-svg", tmp_path)).getroot()  # noqa: S314  our own
    assert root.find(f"{SVG}text[2]").text == "Heads"  # type: ignore[union-attr]  # there is one
    assert len(list(root.iter(f"{SVG}path"))) > 4 * 8


@pytest.mark.parametrize(
    ("change", "part", "shapes"),
    [
        ("overview: 'scatter'", "heads", 4 * 8),
        ("view: 'lines'", "one-head", 12),
        ("pinned: { layer: 1, head: 3 }", "one-head", 3),
    ],
)
def test_every_drawn_view_is_saved(
    change: str, part: str, shapes: int, page: OpenPage, tmp_path: Path
) -> None:
    page.run(f"attn.change({{ {change} }})")
    page.drawn()
    page.run(f"document.getElementById('save-part').value = '{part}'")
    root = ET.parse(saved(page, "save-svg", tmp_path)).getroot()  # noqa: S314  our own
    assert len(list(root.iter(f"{SVG}path"))) > shapes
    assert page.said == []


def test_the_list_of_heads_is_said_to_be_no_picture(page: OpenPage) -> None:
    page.run("attn.change({ overview: 'list' })")
    page.drawn()
    page.run("document.getElementById('save-part').value = 'heads'")
    page.run("document.getElementById('save').open = true")
    page.tab.click("#save-svg")
    assert page.text("done").startswith("Not saved: the list is no picture")
    assert page.said == []


def test_a_png_is_twice_as_sharp_as_the_svg(page: OpenPage, tmp_path: Path) -> None:
    svg = ET.parse(saved(page, "save-svg", tmp_path)).getroot()  # noqa: S314  our own
    with Image.open(saved(page, "save-png", tmp_path)) as picture:
        assert picture.format == "PNG"
        assert picture.width == pytest.approx(2 * float(svg.get("width") or 0), abs=2)
        colours = picture.convert("RGB").getcolors(1 << 24) or []
        assert len(colours) > 20  # weights, labels and lines, not an empty page


def test_saving_leaves_the_page_as_it_was(page: OpenPage, tmp_path: Path) -> None:
    before = page.run("document.getElementById('matrix').toDataURL()")
    saved(page, "save-svg", tmp_path)
    page.drawn()
    assert page.run("document.getElementById('matrix').toDataURL()") == before


def test_a_row_is_saved_as_csv_in_the_order_of_the_text(page: OpenPage, tmp_path: Path) -> None:
    file = saved(page, "save-csv", tmp_path)
    head, *rows = csv.reader(io.StringIO(file.read_text("utf-8"), newline=""))
    assert head == ["position", "token", "weight"]
    assert [row[:2] for row in rows[:3]] == [["0", "<s>"], ["1", "Then"], ["2", "Uncle"]]
    weights = page.head(2, 7)[8]
    assert [float(row[2]) for row in rows] == pytest.approx(
        [one for one in weights if one is not None], abs=5e-4
    )


def test_no_token_of_a_saved_row_is_a_formula(chromium: Any, written: Written, tmp_path: Path) -> None:
    page = OpenPage(chromium, written(FORMULAS, "-m", "random"), "#head=0.0&query=0&key=0")
    labels = page.run("attn.about.texts[0].labels")
    assert any(label[0] in "=+-@'" for label in labels)
    content = saved(page, "save-csv", tmp_path).read_text("utf-8")
    _, *rows = csv.reader(io.StringIO(content, newline=""))
    assert [row[1] for row in rows if row[1][0] in "=+-@\t\r"] == []
    assert [row[1].removeprefix("'") for row in rows] == labels  # one quote in front is taken off


def test_a_row_is_copied_as_csv(chromium: Any, written: Written, tmp_path: Path) -> None:
    page = OpenPage(chromium, written(STORY), permissions=["clipboard-read", "clipboard-write"])
    content = saved(page, "save-csv", tmp_path).read_bytes().decode()
    page.tab.click("#copy-csv")
    page.wait("document.getElementById('done').textContent === 'Row copied'")
    assert page.run("navigator.clipboard.readText()").splitlines() == content.splitlines()
