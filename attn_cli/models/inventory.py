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
from attn_cli.models.native.towers import TOWERS
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
    """A model in the cache, in the revision that is used by default."""

    name: str
    type: str  # the config's model_type; empty if there is none
    served: str  # as in `TypeSupport`; empty if the type is unknown
    size: int  # bytes on disk
    has_weights: bool  # False if only the configuration and the tokenizer were downloaded
    revision: str
    path: Path


@record(frozen=True, slots=True)
class Available:
    """What can be loaded here."""

    embedded: Embedded
    cache: Path
    cached: tuple[Snapshot, ...]
    native: Mapping[str, tuple[str, ...]]  # the native model types, by folder
    counts: Mapping[str, int]  # the number of model types for each value of `TypeSupport.served`


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
    """The types with those names; for a name that no type has, the types that contain it.

    Raises:
        UsageError: there are none.
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
    """The error for a name that no type contains; the hint lists types with similar names."""
    from difflib import get_close_matches  # only this error needs it

    spelled = {_spelling(each.type): each.type for each in types}
    names = [spelled[near] for near in get_close_matches(_spelling(word), spelled)]
    problem = f"unknown model type '{word}': none of the {len(types)} known types contains it"
    return UsageError(problem, f"attn models --families {' '.join(names)}".rstrip())


def _spelling(name: str) -> str:
    """The name in lower case and with underscores for hyphens, which people confuse."""
    return name.casefold().replace("-", "_")


def _snapshot(model: CachedModel, served: Mapping[str, str]) -> Snapshot:
    sizes = (file.stat().st_size for file in model.path.rglob("*") if file.is_file())
    way, revision = served.get(model.type, ""), model.path.name
    return Snapshot(model.name, model.type, way, sum(sizes), has_weights(model.path), revision, model.path)


def _native(types: Iterable[TypeSupport]) -> dict[str, tuple[str, ...]]:
    """The native types, by folder, as spelled in configurations."""
    spelled = {_spelling(each.type): each.type for each in types}
    groups = native_groups() | {"towers": tuple(sorted(TOWERS))}
    return {folder: tuple(spelled.get(name, name) for name in names) for folder, names in groups.items()}


def _embedded() -> Embedded:
    spec = read_spec(read_config(EMBEDDED_DIRECTORY))
    known = read_head_labels(EMBEDDED_DIRECTORY, spec.layers, spec.heads)
    return Embedded(EMBEDDED, spec.type, spec.layers, spec.heads, spec.head_size, known)
