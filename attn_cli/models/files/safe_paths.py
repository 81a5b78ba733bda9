"""Only a checkpoint's own files are read: regular files of bounded size, inside its tree.

A checkpoint that was unpacked or cloned can bring symbolic links. One that leads elsewhere would have
attn read whatever lies there (a device that never ends, somebody's secret), so it is refused.
"""

from pathlib import Path

from attn_cli.errors import AttnError

LARGEST_TEXT = 100_000_000
"""Bytes of a file that is parsed, which takes several times as much; tokenizers have up to 40 million."""


def checked_path(directory: Path, name: str, most: int | None = None) -> Path:
    """The path of the checkpoint's file `name`, which need not be there; `most` bytes may be in it.

    Raises:
        AttnError: it is a link that leads out of the checkpoint, no plain file, or too large.
    """
    path = directory / name
    if not path.exists():
        return path  # whoever opens it says so
    target = path.resolve()
    if not any(target.is_relative_to(root) for root in _roots(directory.resolve())):
        problem = f"{path} is a link that leads out of the checkpoint: to {target}"
        raise AttnError(problem, "copy the file itself there, if you trust it")
    if not path.is_file() and not path.is_dir():
        raise AttnError(f"{path} is no plain file", "put the file itself there")
    if most is not None and (size := path.stat().st_size) > most:
        problem = f"{path} is too large to be read: {size / 1e6:,.0f} MB of at most {most / 1e6:,.0f} MB"
        raise AttnError(problem, "download the file again")
    return path


def _roots(directory: Path) -> tuple[Path, ...]:
    """Where the files may lie: in the directory, or, of a snapshot in the Hugging Face cache, as blobs.

    The links of a snapshot lead to the model's own `blobs`, and from there, since `huggingface_hub` 2,
    perhaps to the `blobs` of the whole cache.
    """
    model = directory.parent.parent
    is_cached = directory.parent.name == "snapshots" and model.name.startswith("models--")
    return (directory, model / "blobs", model.parent / "blobs") if is_cached else (directory,)
