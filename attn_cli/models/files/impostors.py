"""Recognises a file whose content is not what its name says: a pointer, a web page, another format."""

from pathlib import Path

from attn_cli.errors import AttnError, DamagedFileError

START = 512
"""The number of bytes by which a format is recognised."""

_POINTER = b"version https://git-lfs.github.com/spec/"
_PAGES = (b"<!doctype html", b"<html", b"<?xml")
_WEIGHTS = (".safetensors", ".bin")
_MAGICS = {
    b"PK\x03\x04": ("a PyTorch file", ".bin", "pytorch_model.bin"),
    b"\x80\x02": ("a pickle of PyTorch", ".bin", "pytorch_model.bin"),
    b"GGUF": ("a GGUF file", ".gguf", "model.gguf"),
    b"\x89HDF": ("a file of TensorFlow or Keras", ".h5", ""),
    b"\x1f\x8b": ("compressed with gzip", ".gz", ""),
}
"""First bytes of other formats: the format, its suffix, and the name that the file should have."""


def check_content(path: Path, start: bytes) -> None:
    """Raise `AttnError` if the first bytes show that the content is not what the name says."""
    if start.startswith(_POINTER):
        problem = f"{path} is a pointer of Git LFS: the file itself was not downloaded"
        raise AttnError(problem, f"git lfs pull, in {path.parent}")
    if start.lstrip().lower().startswith(_PAGES):
        problem = f"{path} is a web page, not the file that its name says"
        raise DamagedFileError(
            problem, "download the file itself: its address has /resolve/, not /blob/", path
        )
    if path.suffix == ".bin" and start[8:9] == b"{":  # after the length of the header
        raise AttnError(f"{path} is a safetensors file", "rename it to model.safetensors")
    for magic, (what, suffix, name) in _MAGICS.items() if path.suffix in _WEIGHTS else ():
        if start.startswith(magic) and path.suffix != suffix:
            hint = f"rename it to {name}" if name else "use a checkpoint with model.safetensors"
            raise AttnError(f"{path} is {what}, not what its name says", hint)


def check_weights(path: Path, start: bytes, size: int) -> None:
    """As `check_content`; a short text, such as the error message of a server, raises `AttnError` too."""
    check_content(path, start)
    text = start.strip().decode("ascii", "replace")
    if 0 < size < START // 2 and text.isprintable() and "\ufffd" not in text and " " in text:
        raise DamagedFileError(f"{path} is text, not weights: '{text}'", "download the file again", path)


def check_file(path: Path) -> None:
    """As `check_content`, for a file that was not opened; nothing is raised if it cannot be."""
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError:
        return
    check_content(path, start)
