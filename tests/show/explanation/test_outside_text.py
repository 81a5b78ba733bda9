"""Names in the files of a model come from outside: on a page they are no markup and no control sequences."""

from pathlib import Path

from safetensors.torch import load_file, save_file

from tests.support.twins import RECIPES
from tests.support.worlds import attn


def test_the_names_of_tensors_are_harmless(tmp_path: Path) -> None:
    RECIPES["gpt2"].save(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    named = {f"\x1b[31m**<b>*.{name}": tensor for name, tensor in load_file(file).items()}
    save_file(named, file, metadata={"format": "pt"})
    head = ("the cat sat", "-m", tmp_path / "model", "--heads", "1.1", "--query", "-1")
    page = attn("explain", *head, "-o", tmp_path / "page.md", "-o", tmp_path / "page.txt")
    assert page.status == 0
    written = (tmp_path / "page.md").read_text("utf-8")
    shown = attn("explain", *head).out
    assert "\x1b" not in written + shown + (tmp_path / "page.txt").read_text("utf-8")
    assert r"of \x1b[31m**<b>*.h.1.attn.c_attn." in shown
    assert r"of \\x1b\[31m\*\*&lt;b&gt;\*\.h\.1\.attn\.c\_attn." in written
