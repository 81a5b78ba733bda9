"""Turns any exception from transformers into a two-line error."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL, getLogger
from typing import Any

import torch  # 1.7 s: imported only by modules that need it anyway
import transformers

from attn_cli.errors import AttnError
from attn_cli.safe_text import without_credentials

_HINT = "check that config.json and the weights belong to the same model"


@contextmanager
def translated_errors(problem: str, hint: str = _HINT) -> Iterator[None]:
    """Turn any exception raised inside into an `AttnError`, and silence warnings and progress bars.

    Raises:
        AttnError: `problem`, with what transformers said.
    """
    logging: Any = transformers.logging
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    getLogger("bitsandbytes").setLevel(CRITICAL)  # it remarks on every product
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (AttnError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # 500 model implementations raise every kind of exception
        lines = str(error).strip().splitlines() or [""]
        said = without_credentials(f"{type(error).__name__}: {lines[0]}".removesuffix(": "))
        raise AttnError(f"{problem}: {said}", f"{hint}; ATTN_DEBUG=1 shows the traceback") from error
