"""axe finds nothing that keeps people from using the page: every view, light and dark."""

from pathlib import Path
from typing import Any

import pytest

from tests.show.page.conftest import Written
from tests.support.browser import OpenPage
from tests.support.families import TRANSLATORS

pytestmark = pytest.mark.browser

STORY = "Then Uncle Sam sang, and Uncle Sam sang well."
VIEWS = {
    "a row": "attn.change({ query: 8 })",
    "a column": "attn.change({ direction: 'to' })",
    "matrices": "attn.change({ metric: 'matrices' })",
    "zoomed": "attn.change({ zoom: 2, all: true })",
    "two heads": "attn.change({ pinned: { layer: 1, head: 3 } })",
    "two heads, a column": "attn.change({ pinned: { layer: 1, head: 3 }, direction: 'to' })",
    "hidden keys and words": "attn.change({ hide: [0], renormalize: true, words: true })",
    "a logarithmic scale": "attn.change({ scale: 'log' })",
    "lines": "attn.change({ view: 'lines' })",
    "a scatter": "attn.change({ overview: 'scatter' })",
    "a list of heads": "attn.change({ overview: 'list' })",
    "keys": "document.getElementById('keys').showModal()",
    "saving": "document.getElementById('save').open = true",
}
_RUN = "axe.run({ resultTypes: ['violations'] }).then((found) => found.violations)"


def violations(page: OpenPage) -> list[str]:
    """Each rule that is broken, and where."""
    from axe_playwright_python.base import AXE_SCRIPT

    page.run(AXE_SCRIPT)
    return [
        f"{found['id']} ({found['impact']}): {[node['html'][:200] for node in found['nodes'][:3]]} "
        f"{found['nodes'][0]['failureSummary']}"
        for found in page.run(_RUN)
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_violation(view: str, theme: str, chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(STORY), bypass_csp=True, color_scheme=theme)  # axe is put into the page
    page.run(f"void ({VIEWS[view]})")
    page.drawn()
    assert page.run("document.documentElement.dataset.theme") == theme
    assert violations(page) == []


def test_axe_finds_no_violation_on_a_telephone(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(STORY), bypass_csp=True, viewport={"width": 390, "height": 844})
    assert violations(page) == []


def test_axe_finds_no_violation_in_two_texts_or_odd_tokens(
    tmp_path: Path, chromium: Any, written: Written
) -> None:
    TRANSLATORS["t5"].save(tmp_path / "t5")
    line = ("<b>the</b> שלום \u202e cat", "--target", "the mat", "-m", tmp_path / "t5")
    page = OpenPage(chromium, written(*line), bypass_csp=True)
    for kind in range(3):
        page.run(f"attn.change({{ kind: {kind} }})")
        page.drawn()
        assert violations(page) == []


def test_axe_finds_what_is_wrong(chromium: Any, written: Written) -> None:
    page = OpenPage(chromium, written(STORY), bypass_csp=True)
    page.run("document.getElementById('metric').removeAttribute('aria-label')")
    page.run("document.getElementById('row-title').style.color = '#ccc'")
    assert [found.split()[0] for found in violations(page)] == ["color-contrast", "select-name"]
