"""A directory in Hugging Face layout, or a GGUF file, as a source: our own transformer, or the bridge."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.backend import Library
from attn_cli.models.files.config import Config, NotWrittenError
from attn_cli.models.head_labels import known_heads
from attn_cli.models.native import architectures
from attn_cli.models.native.checkpoint_files import parts
from attn_cli.models.native.spec import Part, Spec
from attn_cli.models.native.transformer import Inputs, Transformer
from attn_cli.models.source import Card, Extent, Judge, Layer, Source, Texts, of_layers
from attn_cli.models.tokens.fast import Cutter, Token, shifted
from attn_cli.vocabulary import Kind


def checkpoint(
    name: str,
    directory: Path,
    library: Library,
    *,
    is_causal: bool | None = None,
    trusts_code: bool = False,
) -> Source:
    """The model in `directory`, or in a file, called `name`; `is_causal` overrules the model's own mask.

    `trusts_code`: whether a checkpoint that brings its own Python code may run it. The weights are
    opened by the source's `check`, or with its first layer: tokens need none.

    Raises:
        AttnError: a file is missing or damaged, or neither we nor transformers know the family.
    """
    found = parts(directory)
    if not trusts_code:
        _check_own_code(found.config)
    spec = _spec_or_none(found.config, is_causal=is_causal)
    if spec is None:
        from attn_cli.models.bridge.bridge import bridge  # transformers and torch: 5 s

        kind = found.config.text("model_type")
        return bridge(name, directory, kind, library, is_causal=is_causal, trusts_code=trusts_code)
    tokenizer = found.tokenizer()
    cut = _cut(tokenizer, spec, directory)

    @cache
    def transformer() -> Transformer:
        return Transformer(spec, found.weights(spec.prefixes, spec.aliases), library)

    def attentions(texts: Texts, kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        return of_layers(_attentions(transformer(), texts, kind), layers)

    return Source(
        card=Card(name, spec.type, spec.layers, spec.heads, spec.kv_heads, spec.head_size, spec.width),
        library=library,
        takes_pairs=spec.takes_pairs,
        is_causal=spec.is_causal,
        longest=spec.longest,
        is_bounded=spec.embeddings.positions is not None or spec.embeddings.has_sinusoids,
        kinds=_kinds(spec),
        tokens=cut,
        check=lambda: transformer().check(),
        known=lambda: known_heads(directory, spec.layers, spec.heads),
        attentions=attentions,
        target=_target(tokenizer, spec, directory),
        judge=lambda: _judge(directory, spec),
        on=lambda other: checkpoint(name, directory, other, is_causal=is_causal, trusts_code=trusts_code),
    )


def _spec_or_none(config: Config, *, is_causal: bool | None) -> Spec | None:
    """What the model is; None where it has no file here, or is a variant that its file leaves to others."""
    if config.text("model_type") not in native_types():
        return None
    try:
        return _spec(config, is_causal=is_causal)
    except NotWrittenError:
        return None


def _kinds(spec: Spec) -> dict[Kind, Extent]:
    """The kinds of attention that the model has."""
    own, decoder = Extent(range(spec.layers), spec.heads), spec.decoder
    if decoder is None:
        return {Kind.SELF: own}
    beside = Extent(range(decoder.layers), decoder.heads)
    return {Kind.ENCODER: own, Kind.DECODER: beside, Kind.CROSS: beside}


def _attentions(model: Transformer, texts: Texts, kind: Kind) -> Iterator[Layer]:
    """The attention of one kind, layer by layer; of the encoder nothing runs before it is looked at."""
    inputs = _inputs(texts.tokens)
    if kind in {Kind.SELF, Kind.ENCODER}:
        return model.attentions(inputs)
    assert model.spec.decoder is not None, "the source names its kinds"
    decoder = replace(model, spec=model.spec.decoder)
    memory = cache(lambda: model.memory(inputs))
    run = decoder.attentions if kind is Kind.DECODER else decoder.crossings
    return run(_inputs(texts.target), memory)


def _target(tokenizer: Cutter, spec: Spec, directory: Path) -> Callable[[str], tuple[Token, ...]] | None:
    """What cuts the decoder's text; None where there is no decoder."""
    decoder, start = spec.decoder, spec.start
    if decoder is None or start is None:
        return None
    of_target = tokenizer.of_target()
    cut = _cut(of_target, decoder, directory)
    return lambda text: shifted(of_target.token(start), cut(text, None))


def _judge(directory: Path, spec: Spec) -> Judge:
    """transformers' model over the same files; a file's names of W^O are those of its modules."""
    from attn_cli.models.bridge.reference import Eager  # transformers and torch: 5 s

    def named(part: Part, side: Spec) -> dict[int, str]:
        return {layer: part.name.format(**side.numbers(layer)) for layer in range(side.layers)}

    kinds, outputs = _kinds(spec), {next(iter(_kinds(spec))): named(spec.output, spec)}
    if spec.decoder is not None and spec.decoder.cross is not None:
        outputs[Kind.DECODER] = named(spec.decoder.output, spec.decoder)
        outputs[Kind.CROSS] = named(spec.decoder.cross.output, spec.decoder)
    return Eager(directory, {kind: extent.layers for kind, extent in kinds.items()}, outputs)


def _inputs(tokens: Sequence[Token]) -> Inputs:
    return Inputs([token.id for token in tokens], [token.segment for token in tokens])


def read_spec(directory: Path, *, is_causal: bool | None = None) -> Spec:
    """What the model in `directory`, or in a file, is: read from its configuration.

    Raises:
        AttnError: the file is missing or damaged, or the family is not known.
    """
    return _spec(parts(directory).config, is_causal=is_causal)


def _spec(config: Config, *, is_causal: bool | None) -> Spec:
    spec = _family(config)
    return spec if is_causal is None else replace(spec, is_causal=is_causal)


def families() -> tuple[str, ...]:
    """The model types that have a file of their own here."""
    return tuple(sorted(_modules()))


@cache
def _modules() -> dict[str, str]:
    """The module of each family, by the name of its file."""
    (home,) = architectures.__path__
    files = Path(home).glob("*/[!_]*.py")
    return {file.stem: f"{architectures.__name__}.{file.parent.name}.{file.stem}" for file in files}


def _check_own_code(config: Config) -> None:
    """Raise `AttnError` where the family is not known here, and the checkpoint brings code that knows it."""
    kind = config.text("model_type", default="")
    if config.values.get("auto_map") and kind not in native_types():
        asks = f"{config.path} asks to run the checkpoint's own Python code"
        problem = f"{asks}, which could do here whatever you can"
        raise AttnError(problem, "--trust-remote-code, if you have read that code or trust its author")


def native_types() -> frozenset[str]:
    """How `model_type` may spell the families: file names have no hyphen."""
    return frozenset(spelled for name in families() for spelled in (name, name.replace("_", "-")))


def _family(config: Config) -> Spec:
    """The spec by the family's own file, which is named after `model_type`."""
    kind = config.text("model_type")
    name = kind.replace("-", "_")
    if name not in _modules():
        problem = f"the model type '{kind}' is not known: {config.path}"
        raise AttnError(problem, f"use a model of the type {', '.join(families())}")
    module = importlib.import_module(_modules()[name])
    spec: Spec = module.spec(config)
    return spec


def _cut(tokenizer: Cutter, spec: Spec, directory: Path) -> Callable[[str, str | None], tuple[Token, ...]]:
    """The tokenizer, whose ids are checked against the size of the vocabulary."""

    def tokens(text: str, pair: str | None) -> tuple[Token, ...]:
        found = tokenizer(text, pair)
        hint = f"check that tokenizer.json and config.json in {directory} belong together"
        for token in found:
            if token.id >= spec.vocabulary:
                problem = (
                    f"the token '{token.piece}' is number {token.id} of a vocabulary of {spec.vocabulary}"
                )
                raise AttnError(problem, hint)
            if spec.segments and token.segment >= spec.segments:
                problem = f"the token '{token.piece}' is of segment {token.segment} of {spec.segments}"
                raise AttnError(problem, hint)
        return found

    return tokens
