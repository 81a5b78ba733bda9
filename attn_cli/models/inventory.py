"""What can be loaded here: the bundled model, cached models, model types and devices."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from attn_cli.errors import UsageError
from attn_cli.models.bridge.support import MeasuredSupport, TypeSupport, read_support
from attn_cli.models.files.config import read_config
from attn_cli.models.head_labels import HeadLabel, read_head_labels
from attn_cli.models.hub.locate import (
    EMBEDDED_DIRECTORY,
    CachedModel,
    cache_directory,
    cached_models,
    has_weights,
)
from attn_cli.models.native.families import native_groups, native_types, read_spec
from attn_cli.record import record
from attn_cli.vocabulary import EMBEDDED, Pattern


@record(frozen=True, slots=True)
class Embedded:
    """The bundled model."""

    name: str
    type: str
    layers: int
    heads: int
    head_size: int
    known: tuple[HeadLabel, ...]


@record(frozen=True, slots=True)
class Snapshot:
    """What the cache holds of a model: the revision that is read where none is named."""

    name: str
    type: str  # the config's model_type; empty where there is none
    served: str  # by the words of `TypeSupport`; empty where the type is not known
    size: int  # bytes on the disk
    has_weights: bool  # without them only the configuration and the tokenizer were downloaded
    revision: str
    path: Path


@record(frozen=True, slots=True)
class Available:
    """What can be loaded here."""

    embedded: Embedded
    cache: Path
    cached: tuple[Snapshot, ...]
    native: Mapping[str, tuple[str, ...]]  # the model types by the folder of their files
    counts: Mapping[str, int]  # how many model types are served each way


def available(environment: Mapping[str, str]) -> Available:
    """The bundled model, the models in the local Hugging Face cache, and the model types."""
    types = model_types().families
    served = {each.type: each.served for each in types}
    cached = tuple(_snapshot(model, served) for model in cached_models(environment))
    counts = Counter(served.values())
    return Available(_embedded(), cache_directory(environment), cached, _native(types), counts)


def model_types() -> MeasuredSupport:
    """Every model type and how it is supported: natively, or through the bridge as measured."""
    measured, native = read_support(), native_types()
    return replace(
        measured,
        families=tuple(
            TypeSupport(family.type, "native") if family.type in native else family
            for family in measured.families
        ),
    )


def named_types(words: Iterable[str], types: Sequence[TypeSupport]) -> tuple[TypeSupport, ...]:
    """The types of those names; where none has a name, those that contain it.

    Raises:
        UsageError: none does.
    """
    chosen: dict[str, TypeSupport] = {}
    for word in words:
        exact = [each for each in types if _spelling(each.type) == _spelling(word)]
        matching = exact or [each for each in types if _spelling(word) in _spelling(each.type)]
        if not matching:
            raise _unknown(word, types)
        chosen |= {each.type: each for each in matching}
    return tuple(chosen.values())


def by_pattern(heads: Iterable[HeadLabel]) -> dict[Pattern, list[tuple[str, float]]]:
    """The names and scores of the heads, grouped by pattern, in the order given."""
    scores: dict[Pattern, list[tuple[str, float]]] = {}
    for head in heads:
        scores.setdefault(head.pattern, []).append((head.name, head.score))
    return scores


def _unknown(word: str, types: Sequence[TypeSupport]) -> UsageError:
    """The error for a name that no type has; it names those that are spelled almost like it."""
    from difflib import get_close_matches  # only a typing error needs it

    spelled = {_spelling(each.type): each.type for each in types}
    names = [spelled[near] for near in get_close_matches(_spelling(word), spelled)]
    problem = f"no model type is called '{word}': of {len(types)} known types, none contains it"
    return UsageError(problem, f"attn models --families {' '.join(names)}".rstrip())


def _spelling(name: str) -> str:
    """A name without what people confuse: upper case, and hyphens for underscores."""
    return name.casefold().replace("-", "_")


def _snapshot(model: CachedModel, served: Mapping[str, str]) -> Snapshot:
    sizes = (file.stat().st_size for file in model.path.rglob("*") if file.is_file())
    way, revision = served.get(model.type, ""), model.path.name
    return Snapshot(model.name, model.type, way, sum(sizes), has_weights(model.path), revision, model.path)


def _native(types: Iterable[TypeSupport]) -> dict[str, tuple[str, ...]]:
    """The types that have a file of their own, spelled as configurations do, by the folder of the file."""
    spelled = {_spelling(each.type): each.type for each in types}
    return {
        folder: tuple(spelled.get(name, name) for name in names) for folder, names in native_groups().items()
    }


def _embedded() -> Embedded:
    spec = read_spec(read_config(EMBEDDED_DIRECTORY))
    known = read_head_labels(EMBEDDED_DIRECTORY, spec.layers, spec.heads)
    return Embedded(EMBEDDED, spec.type, spec.layers, spec.heads, spec.head_size, known)
