"""A directory in Hugging Face layout, as a source: our own transformer over its weights, or the bridge."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models import architectures
from attn_cli.models.config import Config, read_config
from attn_cli.models.files import open_weights
from attn_cli.models.known import known_heads
from attn_cli.models.library import Library
from attn_cli.models.source import Card, Extent, Layer, Source, Texts, of_layers
from attn_cli.models.spec import Spec
from attn_cli.models.tokens import Token, Tokenizer, open_tokenizer
from attn_cli.models.transformer import Inputs, Transformer
from attn_cli.vocabulary import Kind


def checkpoint(name: str, directory: Path, library: Library, *, is_causal: bool | None = None) -> Source:
    """The model in `directory`, called `name`; `is_causal` overrules the model's own mask.

    The weights are opened by the source's `check`, or with its first layer: tokens need none.

    Raises:
        AttnError: a file is missing or damaged, or neither we nor transformers know the family.
    """
    if (kind := read_config(directory).text("model_type")) not in native_types():
        from attn_cli.models.bridge import bridge  # transformers and torch: 5 s

        return bridge(name, directory, kind, library, is_causal=is_causal)
    spec = read_spec(directory, is_causal=is_causal)

    @cache
    def transformer() -> Transformer:
        return Transformer(spec, open_weights(directory, spec.prefixes, spec.aliases), library)

    def attentions(texts: Texts, _kind: Kind, layers: Sequence[int]) -> Iterator[Layer]:
        inputs = Inputs([token.id for token in texts.tokens], [token.segment for token in texts.tokens])
        return of_layers(transformer().attentions(inputs), layers)

    return Source(
        card=Card(name, spec.type, spec.layers, spec.heads, spec.kv_heads, spec.head_size, spec.width),
        library=library,
        takes_pairs=spec.segments > 1,
        is_causal=spec.is_causal,
        longest=spec.longest,
        is_bounded=spec.embeddings.positions is not None,
        kinds={Kind.SELF: Extent(range(spec.layers), spec.heads)},
        tokens=_cut(open_tokenizer(directory), spec, directory),
        check=lambda: transformer().check(),
        known=lambda: known_heads(directory, spec.layers, spec.heads),
        attentions=attentions,
    )


def read_spec(directory: Path, *, is_causal: bool | None = None) -> Spec:
    """What the model in `directory` is, read from its `config.json`.

    Raises:
        AttnError: the file is missing or damaged, or the family is not known.
    """
    config = read_config(directory)
    spec = _family(config)
    return spec if is_causal is None else replace(spec, is_causal=is_causal)


def families() -> tuple[str, ...]:
    """The model types that have a file of their own here."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(architectures.__path__)))


def native_types() -> frozenset[str]:
    """How `model_type` may spell the families: file names have no hyphen."""
    return frozenset(spelled for name in families() for spelled in (name, name.replace("_", "-")))


def _family(config: Config) -> Spec:
    """The spec by the family's own file, which is named after `model_type`."""
    kind = config.text("model_type")
    name = kind.replace("-", "_")
    if not re.fullmatch(r"[a-z0-9_]+", name) or name not in families():
        problem = f"the model type '{kind}' is not known: {config.path}"
        raise AttnError(problem, f"use a model of the type {', '.join(families())}")
    module = importlib.import_module(f"{architectures.__name__}.{name}")
    spec: Spec = module.spec(config)
    return spec


def _cut(tokenizer: Tokenizer, spec: Spec, directory: Path) -> Callable[[str, str | None], tuple[Token, ...]]:
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
