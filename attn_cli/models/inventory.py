"""What can be loaded here: families, the bundled model, cached models and devices."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attn_cli.models.devices import list_devices
from attn_cli.models.files.config import read_config
from attn_cli.models.head_labels import HeadLabel, read_head_labels
from attn_cli.models.hub.locate import EMBEDDED_DIRECTORY, CachedModel, cache_directory, cached_models
from attn_cli.models.native.families import native_families, native_types, read_spec
from attn_cli.record import record
from attn_cli.vocabulary import EMBEDDED, Pattern

if TYPE_CHECKING:
    from attn_cli.models.bridge.support import MeasuredSupport


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
class Available:
    """What can be loaded here."""

    families: tuple[str, ...]
    embedded: Embedded
    cache: Path
    cached: tuple[CachedModel, ...]
    devices: Mapping[str, str]


def available(environment: Mapping[str, str]) -> Available:
    """The native families, the bundled model, the models in the local Hugging Face cache, and the devices."""
    cached = tuple(cached_models(environment))
    return Available(native_families(), _embedded(), cache_directory(environment), cached, list_devices())


def every_family() -> "MeasuredSupport":
    """Every model type and how it is supported: natively, or through the bridge as measured."""
    from attn_cli.models.bridge.support import TypeSupport, read_support  # only the full list needs it

    measured, native = read_support(), native_types()
    return replace(
        measured,
        families=tuple(
            TypeSupport(family.type, "native") if family.type in native else family
            for family in measured.families
        ),
    )


def by_pattern(heads: Iterable[HeadLabel]) -> dict[Pattern, list[tuple[str, float]]]:
    """The names and scores of the heads, grouped by pattern, in the order given."""
    scores: dict[Pattern, list[tuple[str, float]]] = {}
    for head in heads:
        scores.setdefault(head.pattern, []).append((head.name, head.score))
    return scores


def _embedded() -> Embedded:
    spec = read_spec(read_config(EMBEDDED_DIRECTORY))
    known = read_head_labels(EMBEDDED_DIRECTORY, spec.layers, spec.heads)
    return Embedded(EMBEDDED, spec.type, spec.layers, spec.heads, spec.head_size, known)
