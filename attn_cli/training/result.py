"""The results of a run, for the model card, `attn train` and `attn.json`."""

from pathlib import Path
from typing import Any

from attn_cli.models.head_labels import HeadLabel, parse_head_labels
from attn_cli.record import record
from attn_cli.training.measure import HeadReport, Surprise
from attn_cli.training.saved_state import RunPosition
from attn_cli.vocabulary import Kind


@record(frozen=True, slots=True)
class TrainingResult:
    """A trained model and its evaluation."""

    directory: Path
    vocabulary: int  # pieces
    parameters: int
    mark: RunPosition
    surprise: Surprise
    heads: tuple[HeadReport, ...]

    @property
    def name(self) -> str:
        """The name of the model: that of its directory."""
        return self.directory.resolve().name

    @property
    def head_labels(self) -> tuple[HeadLabel, ...]:
        """The heads that are known for a pattern, the clearest first."""
        return parse_head_labels(self.as_json()["heads"])

    def as_json(self) -> dict[str, Any]:
        """The content of `attn.json`."""
        surprise = self.surprise
        return {
            "schema": 1,
            "parameters": self.parameters,
            "steps": self.mark.step,
            "seconds": round(self.mark.seconds, 1),
            "tokens": self.mark.tokens,
            "bits_per_character": {
                "model": surprise.model,
                "bigram": surprise.bigram,
                "gzip": surprise.gzip,
            },
            "held_out": {
                "nats": surprise.nats,
                "tokens": surprise.tokens,
                "characters": surprise.characters,
            },
            "heads": [_head_as_json(head) for head in self.heads],
        }


def _head_as_json(head: HeadReport) -> dict[str, Any]:
    return {
        "kind": Kind.SELF,
        "layer": head.layer,
        "head": head.head,
        "pattern": head.pattern,
        "score": head.score,
        "patterns": [share.fields() for share in head.patterns],
        "scores": head.scores,
    }
