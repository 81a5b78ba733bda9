"""The writer of each suffix, and what it imports."""

import subprocess
import sys

import pytest

from attn_cli.show.writers import COMPARISONS, PICTURES, RECORDS, STEPS, FileKind, either


def test_kinds_have_their_suffixes_in_the_order_in_which_they_are_told() -> None:
    assert str(PICTURES) == ".png, .svg, .pdf"
    assert str(STEPS) == str(COMPARISONS) == ".json, .npz, .safetensors, .csv"
    assert str(RECORDS) == ".json, .npz, .csv"


@pytest.mark.parametrize("kind", [STEPS, COMPARISONS, RECORDS])
def test_no_suffix_is_a_picture_and_data_at_once(kind: FileKind[object]) -> None:
    assert not set(PICTURES) & set(kind)


def test_a_choice_of_suffixes_reads_as_a_sentence() -> None:
    assert either(PICTURES) == ".png, .svg or .pdf"
    assert either([".html"]) == ".html"


def test_a_new_format_is_one_entry() -> None:
    kind = FileKind({".txt": str.encode, ".TXT".lower() + "2": bytes.fromhex})
    assert kind.encode(".txt", "ab") == b"ab"
    assert kind.encode(".txt2", "ab") == b"\xab"
    assert (".txt" in kind, ".csv" in kind) == (True, False)


LOADED = """
import sys
from attn_cli.show.writers import STEPS, Results
before = set(sys.modules)
assert not {"numpy", "rich", "matplotlib", "safetensors", "attn_cli.show.data"} & before
STEPS.encode(sys.argv[1], Results({}, []))
print(*set(sys.modules) - before)
"""


@pytest.mark.parametrize(
    ("suffix", "heavy"), [(".json", set()), (".npz", set()), (".safetensors", {"safetensors"})]
)
def test_a_file_loads_no_more_than_its_own_writer(suffix: str, heavy: set[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, suffix], capture_output=True, text=True, check=True)
    others = {"rich", "matplotlib", "safetensors", "torch", "attn_cli.show.records", "attn_cli.show.picture"}
    assert others & set(done.stdout.split()) == heavy
