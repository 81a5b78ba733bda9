"""A source: whatever cuts a text into tokens and yields the attention of layer after layer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from attn_cli.core.module import Attention
from attn_cli.models.known import Known
from attn_cli.models.library import Library
from attn_cli.models.tokens import Token


@dataclass(frozen=True, slots=True)
class Card:
    """What a model is, in numbers."""

    name: str
    type: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    width: int


@dataclass(frozen=True, slots=True)
class Source:
    """All that the rest of the program knows of a model."""

    card: Card
    library: Library
    takes_pairs: bool  # whether it tells a second text from the first
    is_causal: bool  # whether a token sees only what came before it
    longest: int | None  # how many tokens it was made for
    is_bounded: bool  # whether it cannot read more: its positions are learned one by one
    tokens: Callable[[str, str | None], tuple[Token, ...]]
    check: Callable[[], None]  # raises AttnError where the weights cannot be those of this model
    known: Callable[[], tuple[Known, ...]]  # what its heads are known for, the clearest first
    attentions: Callable[
        [Sequence[Token]], Iterator[Attention]
    ]  # of layer 0, 1, 2, ... as they are asked for
