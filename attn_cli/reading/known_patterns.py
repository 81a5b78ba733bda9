"""Where the names of heads come from: the probe of the model, its card, or else the text."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from attn_cli.analysis.head_summary import HeadSummary
from attn_cli.models.head_labels import read_head_shares
from attn_cli.models.source import Source
from attn_cli.reading.probe_store import StoredProbe, read_probe
from attn_cli.reading.selection import Place
from attn_cli.record import record
from attn_cli.shares import PatternShare
from attn_cli.vocabulary import Kind, Pattern

_OF_COPIES = (Pattern.INDUCTION, Pattern.DUPLICATE)
"""The patterns that `attn train` measures on random tokens that occur twice, others on held-out text."""


class Origin(StrEnum):
    """What the patterns of heads were measured on."""

    PROBE = "probe"  # random tokens that are repeated: attn heads --probe
    CARD = "card"  # what `attn train` wrote beside the model: held-out text and random tokens
    TEXT = "text"  # the text that is shown, all of its rows


@record(frozen=True, slots=True)
class KnownPatterns:
    """The patterns of a model's heads, and what they were measured on."""

    origin: Origin
    shares: Mapping[Place, tuple[PatternShare, ...]]
    probe: StoredProbe | None = None

    def name(self, heads: Sequence[HeadSummary]) -> list[HeadSummary]:
        """The heads with these patterns instead of those of the text."""
        return [head.named(self.shares.get((head.layer, head.head), ())) for head in heads]


def find_known_patterns(source: Source, kind: Kind, environment: Mapping[str, str]) -> KnownPatterns | None:
    """The patterns from the probe of these weights, or else from the model's card; None without either.

    Raises:
        AttnError: the card is damaged.
    """
    probe = read_probe(source, kind, environment)
    if probe is not None:
        return KnownPatterns(Origin.PROBE, probe.shares, probe)
    if kind is not Kind.SELF or len(source.paths) != 1:  # with an adapter the heads are others
        return None
    shares = read_head_shares(source.paths[0])
    return None if shares is None else KnownPatterns(Origin.CARD, shares)


def measured_on(known: KnownPatterns | None, pattern: Pattern) -> str:
    """Which tokens the share of a pattern is of, in words; None: the patterns are those of the text."""
    if known is None or known.origin is Origin.TEXT:
        return "this text"
    return "held-out text" if known.origin is Origin.CARD and pattern not in _OF_COPIES else "random tokens"


def describe_origin(known: KnownPatterns | None, *, are_named: bool = True) -> dict[str, object]:
    """The field `names` of the JSON object: what the names of heads come from; null if they have none."""
    if known is None:
        return {"from": str(Origin.TEXT) if are_named else None}
    if known.probe is None:
        return {"from": str(known.origin)}
    probe = known.probe
    seeds, lengths = list(probe.seeds), list(probe.lengths)
    return {
        "from": str(known.origin),
        "date": probe.date,
        "seeds": seeds,
        "lengths": lengths,
        "rows": probe.rows,
    }
