"""A browser, and pages of `attn report` that are written once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.support.browser import OpenPage, browser
from tests.support.worlds import attn

Written: TypeAlias = Callable[..., Path]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser for all pages."""
    with browser() as found:
        yield found


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the page of a text with these options, once for all tests."""
    directory, files = tmp_path_factory.mktemp("pages"), dict[tuple[str, ...], Path]()

    def write(text: str, *options: str | Path) -> Path:
        line = (text, *map(str, options))
        if line not in files:
            file = directory / f"{len(files)}.html"
            answer = attn("report", *line, "-o", file)
            assert answer.status == 0, answer.err
            files[line] = file
        return files[line]

    return write


@pytest.fixture(scope="module")
def story(chromium: Any, written: Written) -> OpenPage:
    """The page of a sentence that the bundled model reads."""
    return OpenPage(chromium, written("Then Uncle Sam sang, and Uncle Sam sang well."))
