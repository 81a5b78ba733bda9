"""Turns anything that transformers raises into an error of two lines."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch  # 1.7 s: whoever imports this file wants it
import transformers

from attn_cli.errors import AttnError

_HINT = "check that config.json and the weights belong together"


@contextmanager
def translated_errors(problem: str, hint: str = _HINT) -> Iterator[None]:
    """Whatever transformers raises inside is an `AttnError`; its warnings and progress bars are left out."""
    logging: Any = transformers.logging
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (AttnError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a library of 500 models raises whatever it likes
        lines = str(error).strip().splitlines() or [""]
        said = f"{type(error).__name__}: {lines[0]}".removesuffix(": ")
        raise AttnError(f"{problem}: {said}", f"{hint}; ATTN_DEBUG=1 shows all of it") from error
