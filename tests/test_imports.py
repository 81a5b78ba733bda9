"""Which modules each command loads: the start is fast because most stay unloaded."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attn_cli.models.devices import may_have_accelerator

pytestmark = pytest.mark.slow  # each test is a process

HEAVY = {"numpy", "torch", "transformers", "matplotlib", "rich", "tokenizers", "safetensors", "pydantic"}
HEAVY |= {"huggingface_hub", "gguf", "psutil"}

_CODE = """
import sys
from attn_cli.cli import run
from attn_cli.console import World
status = run(sys.argv[1:], World.real())
sys.stderr.write("\\n" + "\\n".join(sys.modules))
sys.exit(status)
"""


def loaded(*arguments: str | Path, **environment: str) -> set[str]:
    """The modules loaded in a new process after the command."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"HF_HUB_OFFLINE": "1"} | environment,
        check=True,
    )
    return set(done.stderr.decode().split())


@pytest.mark.parametrize("line", ["--help", "", "--version", "inspect --help", "heatmap --help"])
def test_help_loads_nothing_that_computes(line: str) -> None:
    assert not HEAVY & loaded(*line.split())


def test_inspect_loads_neither_torch_nor_transformers_nor_matplotlib(twin: Path) -> None:
    found = loaded("inspect", "the cat sat", "-m", twin)
    assert {"numpy", "tokenizers"} <= found
    assert not {"torch", "transformers", "matplotlib", "safetensors", "huggingface_hub", "gguf"} & found


@pytest.mark.parametrize("head", [(), ("--heads", "0.1")])
def test_inspect_loads_no_module_that_few_texts_need(head: tuple[str, ...]) -> None:
    found = loaded("inspect", "the cat sat", *head)
    assert not {"numpy.ma", "attn_cli.models.cores", "attn_cli.models.native.without_positions"} & found


def test_a_text_that_is_no_chat_loads_nothing_for_chats(twin: Path) -> None:
    found = loaded("inspect", "the cat sat", "-m", twin)
    assert "jinja2" not in found
    assert not {name for name in found if ".chat." in name}


def test_inspect_without_a_model_loads_no_torch() -> None:
    found = loaded("inspect", "the cat sat")
    assert {"numpy", "tokenizers", "rich"} <= found
    assert not {"torch", "transformers", "matplotlib", "safetensors"} & found
    assert (
        not {"psutil", "rich.progress", "attn_cli.core.streaming.stream", "attn_cli.core.streaming.blocks"}
        & found
    )


def test_tokens_alone_load_nothing_that_predicts(twin: Path) -> None:
    found = loaded("tokens", "the cat sat", "-m", twin)
    assert not {"torch", "transformers", "safetensors", "attn_cli.reading.predictions"} & found
    assert not any("language_head.prediction" in name for name in found)


def test_native_predictions_load_neither_torch_nor_transformers() -> None:
    found = loaded("tokens", "the cat sat", "--predict", "3")
    assert {"numpy", "tokenizers", "rich"} <= found
    assert not {"torch", "transformers", "matplotlib", "safetensors", "huggingface_hub"} & found


def test_a_random_layer_needs_no_tokenizer_either() -> None:
    found = loaded("inspect", "the cat sat", "-m", "random", "--json")
    assert not {"torch", "transformers", "matplotlib", "tokenizers", "rich"} & found


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "csv", "json"])
def test_data_files_need_no_torch(suffix: str, tmp_path: Path) -> None:
    found = loaded("inspect", "the cat sat", "-o", tmp_path / f"a.{suffix}")
    assert not {"torch", "transformers", "matplotlib", "rich"} & found


def test_a_picture_is_drawn_without_pyplot_and_without_torch(twins: Path, tmp_path: Path) -> None:
    found = loaded("heatmap", "the cat sat", "-m", twins / "gpt2", "-o", tmp_path / "a.png")
    assert "matplotlib.figure" in found
    assert not {"matplotlib.pyplot", "torch", "transformers", "rich"} & found


def test_inspect_measures_nothing() -> None:
    measuring = (
        "core.streaming.stream",
        "core.streaming.rows",
        "analysis.metrics",
        "analysis.head_summary",
        "analysis.head_filter",
        "reading.metrics",
    )
    assert not {f"attn_cli.{name}" for name in measuring} & loaded("inspect", "the cat sat")


def test_inspect_loads_the_selection_of_tokens_only_with_an_option_for_it() -> None:
    def selecting(*options: str) -> bool:
        return "attn_cli.reading.token_selection" in loaded("inspect", "the cat", "--heads", "0.1", *options)

    assert not selecting()
    assert selecting("--rows", "cat")


def test_inspect_loads_nothing_for_errors_files_and_probes_that_there_are_not(tmp_path: Path) -> None:
    (tmp_path / "probes").mkdir()  # another model was probed
    needless = {"attn_cli.models.hub.names", "attn_cli.models.free_memory", "attn_cli.show.data"}
    assert not (needless | {"hashlib"}) & loaded("inspect", "the cat sat", ATTN_CACHE=str(tmp_path))


@pytest.mark.parametrize("model", [(), ("--dtype", "float64"), ("-m", "random")])
def test_explain_loads_no_module_of_a_library_that_inspect_does_not(model: tuple[str, ...]) -> None:
    def of_libraries(command: str, *options: str) -> set[str]:
        where = ("the cat sat", "-l", "0", "-H", "1", *model)
        return {
            name
            for name in loaded(command, *where, *options)
            if name.partition(".")[0] not in sys.stdlib_module_names | {"attn_cli"}
        }

    assert of_libraries("explain", "--query", "1") <= of_libraries("inspect")


def test_explain_loads_nothing_for_json_and_for_choices_that_are_made() -> None:
    found = loaded("explain", "the cat sat", "-l", "0", "-H", "1", "--query", "1")
    needless = ("show.data", "reading.document", "reading.default_head", "show.explanation.entry", "analysis")
    assert not {f"attn_cli.{name}" for name in needless} & found


@pytest.mark.parametrize("line", ["tokens x", "compare x --heads 0.1,0.2", "heads x"])
def test_the_other_commands_are_as_light(line: str) -> None:
    assert not {"torch", "transformers", "matplotlib.figure"} & loaded(*line.split())


def test_a_page_is_written_without_torch_rich_and_matplotlib(tmp_path: Path) -> None:
    found = loaded("report", "the cat sat", "-o", tmp_path / "a.html")
    assert "jinja2" in found
    assert not {"torch", "transformers", "matplotlib", "rich", "huggingface_hub"} & found


def test_half_precision_runs_on_torch() -> None:
    found = loaded("inspect", "x", "--dtype", "bfloat16")
    assert "torch" in found
    assert "transformers" not in found


def test_devices_are_listed_without_pytorch_where_it_could_find_none_but_the_cpu() -> None:
    assert may_have_accelerator() or "torch" not in loaded("models")
