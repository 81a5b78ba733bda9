"""Opens the source for a request: bundled, random, or a checkpoint, native or over the bridge."""

import copyreg
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.files.config import Config
from attn_cli.models.hub.locate import (
    EMBEDDED_DIRECTORY,
    DownloadProgress,
    Fetch,
    Located,
    WantedFiles,
    is_offline,
    locate_model,
    no_progress,
)
from attn_cli.models.native.checkpoint import Checkpoint
from attn_cli.models.native.checkpoint_files import open_files
from attn_cli.models.native.families import native_spec, native_types
from attn_cli.models.source import Source, SourceRequest
from attn_cli.vocabulary import EMBEDDED, RANDOM


def open_source(
    request: SourceRequest,
    environment: Mapping[str, str] | None = None,
    progress: DownloadProgress = no_progress,
    *,
    weights: bool = True,
) -> Source:
    """The model that is asked for; it reads as many texts as are wanted, and pickles as its request.

    `environment`: where the cache is and whether the hub may be asked; None: that of this process.
    `progress` is told how far a model is that must be downloaded; `weights`: whether they are to come too.

    Raises:
        AttnError: the model is missing or damaged, or the device absent.
        UsageError: the request does not fit the model.
    """
    backend = choose_backend(request.device, request.dtype)
    if request.model == RANDOM:
        from attn_cli.models.random_layer import open_random_layer

        return _reopening(open_random_layer(request, backend))
    located = _located(request, os.environ if environment is None else environment, progress, weights=weights)
    return _reopening(open_checkpoint(located.name, located.directory, backend, request))


def open_checkpoint(name: str, path: Path, backend: Backend, request: SourceRequest | None = None) -> Source:
    """The model in a directory, or in a `.gguf` file, called `name`.

    Raises:
        AttnError: a file is missing or damaged, or neither we nor transformers know the family.
        UsageError: its mask cannot be overruled, as the request asks.
    """
    request = request or SourceRequest(str(path))
    files = open_files(path)
    if not request.trusts_code:
        _check_own_code(files.config)
    spec = native_spec(files.config, is_causal=request.is_causal)
    if spec is None:
        from attn_cli.models.bridge.bridge import open_bridge  # transformers and torch: 5 s

        return open_bridge(name, path, files.config.text("model_type"), backend, request)
    return Checkpoint(request, name, path, files, spec, files.tokenizer(), backend)


def _located(
    request: SourceRequest, environment: Mapping[str, str], progress: DownloadProgress, *, weights: bool
) -> Located:
    """Where the model lies, once it has been downloaded if it was not here."""
    if request.model is None:
        return Located(EMBEDDED, EMBEDDED_DIRECTORY)
    wanted = WantedFiles(weights, request.trusts_code)
    fetch = fetcher(environment, progress, wanted)
    return locate_model(request.model, environment, request.revision, fetch, wanted)


def fetcher(environment: Mapping[str, str], progress: DownloadProgress, wanted: WantedFiles) -> Fetch | None:
    """What downloads a model that is not here; None where the environment forbids it."""

    def fetch(name: str, revision: str | None) -> Path:
        from attn_cli.models.hub.download import download_model  # 0.01 s, and most models are here

        return download_model(name, revision, environment, progress, wanted)

    return None if is_offline(environment) else fetch


def _reopening(source: Source) -> Source:
    """The source, which another process opens again when it is sent there."""
    copyreg.pickle(type(source), _as_request)
    return source


def _as_request(source: Source) -> tuple[Callable[..., Source], tuple[SourceRequest]]:
    return open_source, (source.request,)


def _check_own_code(config: Config) -> None:
    """Raise `AttnError` where the family is not known here, and the checkpoint brings code that knows it."""
    kind = config.text("model_type", default="")
    if config.values.get("auto_map") and kind not in native_types():
        asks = f"{config.path} asks to run the checkpoint's own Python code"
        problem = f"{asks}, which could do here whatever you can"
        raise AttnError(problem, "--trust-remote-code, if you have read that code or trust its author")
