"""How the page looks: dark, on paper, in forced colours, small, zoomed, right to left."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage
from tests.support.twins import save_tokenizer, word_piece

pytestmark = pytest.mark.browser

STORY = "Then Uncle Sam sang, and Uncle Sam sang well."
SCRIPTS = "שלום עולם مرحبا بالعالم the cat 中文标点 हिन्दी 👩‍👩‍👧 end"
_PAPER = "getComputedStyle(document.body).backgroundColor"


def shown(page: OpenPage, *elements: str) -> list[bool]:
    return [page.tab.is_visible(f"#{element}") for element in elements]


@pytest.mark.parametrize(("theme", "paper"), [("light", "rgb(247, 247, 245)"), ("dark", "rgb(16, 17, 20)")])
@pytest.mark.parametrize("scripts", [True, False])
def test_the_page_is_light_or_dark_as_the_system_is(
    scripts: bool, theme: str, paper: str, chromium: Any, written: Written
) -> None:
    page = OpenPage(chromium, written(STORY), color_scheme=theme, java_script_enabled=scripts)
    assert page.run(_PAPER) == paper


def test_a_key_and_a_button_turn_the_theme(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(STORY), color_scheme="dark")
    before = page.run("document.getElementById('matrix').toDataURL()")
    page.press("t")
    assert page.run(_PAPER) == "rgb(247, 247, 245)"
    assert page.run("document.getElementById('matrix').toDataURL()") != before
    page.tab.click("#turn-theme")
    page.drawn()
    assert page.run(_PAPER) == "rgb(16, 17, 20)"
    assert page.run("document.getElementById('matrix').toDataURL()") == before


def test_print_has_the_head_the_text_the_row_and_the_error(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(STORY), color_scheme="dark")
    page.tab.emulate_media(media="print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert shown(page, "head-title", "text", "matrix", "row-list", "precision") == [True] * 5
    assert shown(page, "heads", "turn-theme", "save", "previous-head") == [False] * 4
    assert page.run(_PAPER) == "rgb(255, 255, 255)"
    assert page.run("document.documentElement.dataset.theme") == "light"
    assert page.run("getComputedStyle(document.getElementById('text')).maxHeight") == "none"
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run("document.documentElement.dataset.theme") == "dark"


def test_shades_are_seen_in_forced_colours(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(STORY), "#head=2.7&query=8&key=4", forced_colors="active")
    shades = page.run(
        "[...document.querySelectorAll('#text .token')].map((one) => getComputedStyle(one).backgroundColor)"
    )
    assert len({shade for shade in shades if shade != "rgba(0, 0, 0, 0)"}) >= 1
    assert page.run("getComputedStyle(document.querySelector('#text .chosen')).outlineStyle") == "solid"


def test_nothing_moves_where_motion_is_reduced(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(STORY), reduced_motion="reduce")
    moving = page.run(
        "[...document.querySelectorAll('*')].map((one) => getComputedStyle(one)).filter((style) =>"
        " /[1-9]/.test(`${style.transitionDuration} ${style.animationDuration}`)).length"
    )
    assert moving == 0


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (640, 400), (320, 256)])
@pytest.mark.parametrize("text", [STORY, SCRIPTS])
def test_the_page_is_no_wider_than_a_telephone_or_a_zoomed_window(
    text: str, width: int, height: int, chromium: Any, written: Written
) -> None:
    options = [] if text is STORY else ["-m", "random"]
    page = OpenPage(chromium, written(text, *options), viewport={"width": width, "height": height})
    assert page.run("document.documentElement.scrollWidth") <= width
    page.run("document.getElementById('save').open = true")
    left = page.run("document.querySelector('.menu').getBoundingClientRect().left")
    assert left >= 0


def test_the_numbers_of_heads_stay_while_a_tall_map_scrolls(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(STORY), viewport={"width": 1280, "height": 120})
    box = "document.querySelector('.map')"
    page.run(f"{box}.scrollTop = 60")
    page.drawn()
    assert page.run(f"{box}.scrollTop") > 20
    top = "getBoundingClientRect().top"
    assert page.run(f"document.getElementById('map-names').{top} - {box}.{top}") == pytest.approx(0, abs=1)
    assert page.text("map-names").split() == list("01234567")


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory, written: Written) -> Path:
    """The page of a model with as many layers as SmolLM2."""
    directory = tmp_path_factory.mktemp("tall")
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=30, n_head=9, n_embd=36, n_positions=32, vocab_size=64)
    transformers.GPT2LMHeadModel(config).save_pretrained(directory)
    save_tokenizer(word_piece(), directory)
    return written("the cat sat on the mat", "-m", directory)


def test_all_layers_of_a_deep_model_are_seen_at_once(chromium: Any, tall: Path) -> None:
    page = OpenPage(chromium, tall)
    page.drawn()
    seen = "document.getElementById('map').parentElement"
    assert page.run(f"{seen}.scrollHeight - {seen}.clientHeight") <= 0
    assert page.run("document.querySelectorAll('#map-grid [role=row]').length") == 30
    page.tab.select_option("#metric", "matrices")  # a matrix needs its room, and layers are scrolled
    page.drawn()
    assert page.run(f"{seen}.scrollHeight - {seen}.clientHeight") > 0


def test_text_from_right_to_left_is_laid_out_so(chromium: Any, written: Written) -> None:
    text = " ".join(SCRIPTS.split()[:2])
    page = OpenPage(chromium, written(text, "-m", "random"), "#head=0.0&query=0&key=1")
    left = page.run(
        "[...document.querySelectorAll('#text .token')].map((one) => one.getBoundingClientRect().left)"
    )
    assert left == sorted(left, reverse=True)
    first, second = (f"\u2068{word}\u2069" for word in text.split())
    assert page.text("readout").startswith(f"0 {first} → 1 {second}: 0.")
    assert page.run("getComputedStyle(document.getElementById('readout')).direction") == "ltr"
