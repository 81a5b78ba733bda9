"""What is known of a model's heads: `attn train` measures it, and `attn.json` beside the weights tells it."""

from dataclasses import dataclass
from pathlib import Path

from attn_cli.errors import AttnError
from attn_cli.models.config import read_json
from attn_cli.vocabulary import Kind, Pattern

FILE = "attn.json"


@dataclass(frozen=True, slots=True)
class Known:
    """A head and what it is known for."""

    layer: int
    head: int
    pattern: Pattern
    score: float  # 0 to 1: the mean weight on the tokens of the pattern
    kind: Kind = Kind.SELF

    @property
    def name(self) -> str:
        """`LAYER.HEAD`, as a person selects it."""
        return f"{self.layer}.{self.head}"


def known_heads(directory: Path) -> tuple[Known, ...]:
    """The heads of the model in `directory` that are known for something, the clearest first.

    Raises:
        AttnError: the file is damaged.
    """
    path = directory / FILE
    if not path.is_file():
        return ()
    try:
        listed = [
            Known(int(each["layer"]), int(each["head"]), Pattern(each["pattern"]), float(each["score"]))
            for each in read_json(path)["heads"]
            if each["pattern"] is not None
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise AttnError(f"{path} is damaged: {error}", f"remove it: {FILE} is not needed") from error
    return tuple(sorted(listed, key=lambda known: -known.score))
