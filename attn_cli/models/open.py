"""Opens the source for a request: bundled, random, or a checkpoint, native or through the bridge."""

import copyreg
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.backend import Backend, choose_backend
from attn_cli.models.files.config import Config, NotNativeError
from attn_cli.models.files.weights import Weights
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
from attn_cli.models.native.checkpoint import Checkpoint, anchor_names
from attn_cli.models.native.checkpoint_files import CheckpointFiles, DirectoryFiles, open_files
from attn_cli.models.native.families import native_spec
from attn_cli.models.native.spec import Spec
from attn_cli.models.source import Source, SourceRequest
from attn_cli.models.tokens.token import Tokenizer
from attn_cli.vocabulary import EMBEDDED, RANDOM


def open_source(
    request: SourceRequest,
    environment: Mapping[str, str] | None = None,
    progress: DownloadProgress = no_progress,
    *,
    weights: bool = True,
) -> Source:
    """Open the requested model. It reads any number of texts, and is pickled as its request.

    `environment` locates the cache and says whether the hub may be used; None: that of this process.
    `progress` follows a download; `weights`: whether the weights are downloaded too.

    Raises:
        AttnError: the model is missing or damaged, or the device is not available.
        UsageError: the request does not fit the model.
    """
    backend = choose_backend(request.device, request.dtype)
    if request.model == RANDOM:
        from attn_cli.models.random_layer import open_random_layer

        return _reopening(open_random_layer(request, backend))
    environment = os.environ if environment is None else environment
    located = _located(request, environment, progress, weights=weights)
    source = open_checkpoint(
        located.name,
        located.directory,
        backend,
        request,
        adapter=located.adapter,
        remarks=located.remarks,
        tokenizer=_chosen_tokenizer(request, environment, progress),
    )
    return _reopening(source)


def open_checkpoint(
    name: str,
    path: Path,
    backend: Backend,
    request: SourceRequest | None = None,
    *,
    adapter: Path | None = None,
    remarks: tuple[str, ...] = (),
    tokenizer: Tokenizer | None = None,
) -> Source:
    """Open the model in a directory or a `.gguf` file under the name `name`.

    `adapter` is the directory of a LoRA adapter to merge; `remarks` tell how the name was understood;
    `tokenizer` takes the place of the model's own.

    Raises:
        AttnError: a file is missing or damaged, or neither attn nor transformers supports the family.
        UsageError: the request overrides a mask that cannot be overridden.
    """
    request = request or SourceRequest(str(path))
    files = open_files(path, adapter)
    _check_config(files.config)
    files, overrides, guess = _typed(files)
    has_native_weights, quantised = _quantisation(files.config)
    remarks = (*remarks, *guess, *quantised)
    spec, reasons = _native_spec(files.config, request) if has_native_weights else (None, ())
    if spec is None:
        if not request.trusts_code:
            _check_own_code(files.config)
        from attn_cli.models.bridge.bridge import open_bridge  # transformers and torch: 5 s

        kind, remarks = files.config.text("model_type"), (*remarks, *reasons)
        return open_bridge(
            name,
            path,
            kind,
            backend,
            request,
            adapter=adapter,
            remarks=remarks,
            tokenizer=tokenizer,
            overrides=overrides,
        )
    rows = _embedded_tokens(spec, adapter)
    if rows is not None:
        spec, overrides = replace(spec, vocabulary=rows), overrides | {"vocab_size": rows}
    open_weights = cache(partial(_open_weights, files, spec, adapter))
    ignores_code = has_own_model(files.config)
    tokenizer = tokenizer or files.tokenizer(trusts_code=request.trusts_code)
    return Checkpoint(
        request, name, path, open_weights, spec, tokenizer, backend, ignores_code, adapter, remarks, overrides
    )


def _check_config(config: Config) -> None:
    """Raise `AttnError` for a configuration of another library, or of a model with pruned heads."""
    if not config.has("model_type") or config.has("pruned_heads"):
        from attn_cli.models.files.other_configs import check_config  # few configurations need it

        check_config(config)


def _quantisation(config: Config) -> tuple[bool, tuple[str, ...]]:
    """Whether the native code can read the weights, and a remark if they are quantised.

    Raises:
        AttnError: they are quantised with a method that nothing here reads.
    """
    if not config.is_quantised:
        return True, ()
    from attn_cli.models.files.quantisation import FP8, quantisation, remark_of  # few checkpoints need it

    method = quantisation(config)
    return method == FP8, (remark_of(method),)


def _typed(files: CheckpointFiles) -> tuple[CheckpointFiles, dict[str, object], tuple[str, ...]]:
    """The files with a `model_type` in their configuration: if it has none, that of its class, with a remark.

    Raises:
        AttnError: transformers does not have the class.
    """
    config = files.config
    if config.has("model_type") or has_own_model(config) or not isinstance(files, DirectoryFiles):
        return files, {}, ()
    said = config.values.get("architectures")
    classes = said if isinstance(said, list) else []
    found = _type_of(classes) if classes else None
    if found is None:
        names = ", ".join(map(str, classes)) or "none"
        problem = (
            f"{config.path} has no model_type, and its architectures name no class of transformers: {names}"
        )
        raise AttnError(problem, 'write the type into the file, for example "model_type": "bert"')
    kind, name = found
    remark = f"config.json has no model_type: the model is read as {kind}, because its class is {name}"
    typed = replace(config, values={**config.values, "model_type": kind})
    return replace(files, config=typed), {"model_type": kind}, (remark,)


def _type_of(classes: Sequence[object]) -> tuple[str, str] | None:
    from attn_cli.models.bridge.model_type import type_of  # transformers and torch: 3 s

    return type_of(classes)


def _native_spec(config: Config, request: SourceRequest) -> tuple[Spec | None, tuple[str, ...]]:
    """The spec if the model is computed natively; if only this variant of its family is not, the reason."""
    if request.trusts_code and has_own_model(config):
        return None, ()
    try:
        return native_spec(config, is_causal=request.is_causal), ()
    except NotNativeError as error:
        if config.path.name != "config.json":  # a GGUF file, which only the native code reads
            raise
        return None, (f"transformers computes this model: {error.problem}",)


def _embedded_tokens(spec: Spec, adapter: Path | None) -> int | None:
    """The rows of the token embeddings that the adapter brings; None if they are the base's."""
    if adapter is None:
        return None
    from attn_cli.models.files.lora import embedded_tokens  # only adapters need it

    return embedded_tokens(adapter, spec.embeddings.tokens)


def _open_weights(files: CheckpointFiles, spec: Spec, adapter: Path | None) -> Weights:
    weights = files.weights(spec.prefixes, spec.aliases).unwrapped(anchor_names(spec))
    if adapter is None:
        return weights
    from attn_cli.models.files.lora import adapted

    return adapted(weights, adapter, is_transposed=lambda _: spec.is_transposed)


def _chosen_tokenizer(
    request: SourceRequest, environment: Mapping[str, str], progress: DownloadProgress
) -> Tokenizer | None:
    """The tokenizer that is requested in place of the model's own."""
    if request.tokenizer is None:
        return None
    from attn_cli.models.chosen_tokenizer import open_chosen_tokenizer

    fetch = fetcher(environment, progress, WantedFiles(weights=False, code=request.trusts_code))
    return open_chosen_tokenizer(request.tokenizer, environment, fetch, trusts_code=request.trusts_code)


def _located(
    request: SourceRequest, environment: Mapping[str, str], progress: DownloadProgress, *, weights: bool
) -> Located:
    """Where the model is on disk; it is downloaded first if necessary."""
    if request.model is None:
        return Located(EMBEDDED, EMBEDDED_DIRECTORY)
    wanted = WantedFiles(weights, request.trusts_code, request.adapter)
    fetch = fetcher(environment, progress, wanted)
    return locate_model(request.model, environment, request.revision, fetch, wanted)


def fetcher(environment: Mapping[str, str], progress: DownloadProgress, wanted: WantedFiles) -> Fetch | None:
    """A function that downloads a model; None if the environment forbids it."""

    def fetch(name: str, revision: str | None) -> Path:
        from attn_cli.models.hub.download import download_model  # 0.01 s, and most models are cached

        return download_model(name, revision, environment, progress, wanted)

    return None if is_offline(environment) else fetch


def _reopening(source: Source) -> Source:
    """The source, registered to be pickled as its request: another process opens the model itself."""
    copyreg.pickle(type(source), _as_request)
    return source


def _as_request(source: Source) -> tuple[Callable[..., Source], tuple[SourceRequest]]:
    return open_source, (source.request,)


def has_own_model(config: Config) -> bool:
    """Whether Python code that comes with the checkpoint defines the model or its configuration."""
    names = config.values.get("auto_map")
    return isinstance(names, dict) and any(name.startswith(("AutoModel", "AutoConfig")) for name in names)


def _check_own_code(config: Config) -> None:
    """Raise `AttnError` if the checkpoint, which is not native, comes with its own code."""
    if config.values.get("auto_map"):
        needs = f"{config.path} needs the Python code that comes with the checkpoint"
        problem = f"{needs}, and that code would run with your permissions"
        raise AttnError(problem, "--trust-remote-code, if you have read that code or trust its author")
