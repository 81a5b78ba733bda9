"""Settings for all tests, and small random models for commands, created once."""

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

from tests.support.browser import missing_for_browser
from tests.support.hub_cache import cached_gpt2

# A busy machine takes any time for an example, so none has to be done by a deadline; what fails says how to
# see it again.
hypothesis.settings.register_profile("attn", deadline=None, print_blob=True)
hypothesis.settings.load_profile("attn")

TWINS = ("bert", "gpt2", "llama")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --every-type, which tests all model types, and all edits of tokenizers, instead of a sample."""
    parser.addoption("--every-type", action="store_true", help="a twin of every model type: six minutes")
    parser.addoption(
        "--explain-cells",
        default="130",
        help="how many weights of `attn explain` are computed again from their pages: 1,000 in a minute",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `--every-type` tests, and tests that need what is not here."""
    left_out = {"every_type"} if not config.getoption("--every-type") else set[str]()
    left_out |= {"latex"} if shutil.which("pdflatex") is None else set()
    left_out |= {"graphviz"} if shutil.which("dot") is None else set()
    left_out |= {"gpt2"} if cached_gpt2() is None else set()
    left_out |= {"ray"} if find_spec("ray") is None else set()
    left_out |= {"browser"} if missing_for_browser() else set()
    out = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    gone = set(out)
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report in one line what could not be tested on this machine."""
    import torch  # 1.7 s, and long there

    if not terminalreporter.config.getoption("--every-type"):
        terminalreporter.write_line(
            "model types, edited tokenizers: a sample was compared; all: --every-type"
        )
    if shutil.which("pdflatex") is None:
        terminalreporter.write_line(
            "LaTeX: no pdflatex here; the fonts and sizes of a .pdf are read from its bytes"
        )
    if shutil.which("dot") is None:
        terminalreporter.write_line("Graphviz: no dot here; what it draws of hostile tokens is not read")
    if cached_gpt2() is None:
        terminalreporter.write_line("GPT-2: not in the cache; its published effects are not compared")
    if missing := missing_for_browser():
        terminalreporter.write_line(f"browser: no {missing} here; pages of attn report are not opened")
    if find_spec("ray") is None:
        terminalreporter.write_line("Ray: not installed; workers of attn survey run on this machine only")
    if not torch.cuda.is_available():
        terminalreporter.write_line("CUDA: no GPU here; what is tested on every device ran on the CPU")


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a directory for each of `TWINS`."""
    from tests.support.twins import RECIPES  # transformers: 5 s

    directory = tmp_path_factory.mktemp("twins")
    for name in TWINS:
        RECIPES[name].save(directory / name)
    return directory


@pytest.fixture(scope="session", params=TWINS)
def twin(request: pytest.FixtureRequest, twins: Path) -> Path:
    """The directory of each twin in turn."""
    return twins / str(request.param)


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where transformers copies trusted code, instead of the user's cache."""
    place = tmp_path_factory.mktemp("modules")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(place))
        patch.setattr("sys.path", [*sys.path])
        yield place
