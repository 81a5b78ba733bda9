"""Attention beside a recurrent network's: two ways to score a pair, and how far apart two tokens are.

T queries, S keys, D head size, H heads, M = H · D the width of all heads together.
"""

from attn_cli.answers.lessons.windows import UsedWindow
from attn_cli.core.arrays import Exact
from attn_cli.record import record
from attn_cli.vocabulary import Kind

FADE = 0.9
"""What is left of a signal after one step of the recurrent network of the illustration."""


@record(frozen=True, slots=True, eq=False)
class AdditiveTerms:
    """The additive score of one pair, feature by feature: e = Σ v · tanh(a + b)."""

    of_query: Exact  # (D,) a = W q
    of_key: Exact  # (D,) b = U k
    tanh: Exact  # (D,)
    v: Exact  # (D,)
    score: float


@record(frozen=True, slots=True, eq=False)
class RecurrenceStudy:
    """One row of a head with both scores; S keys."""

    model: str
    kind: Kind
    place: tuple[int, int]  # the layer and the head
    query: int
    key: int
    heads: int
    size: int  # D
    queries: int  # T
    visible: tuple[int, ...]  # the keys that the query may look at
    logits: Exact  # (S,) -inf where masked
    weights: Exact  # (S,)
    has_softcap: bool
    has_bias: bool
    has_sink: bool
    additive: Exact  # (S,) e_ij
    additive_weights: Exact  # (S,)
    terms: AdditiveTerms  # of the key
    seed: int
    is_causal: bool
    window: UsedWindow | None

    @property
    def keys(self) -> int:
        """S."""
        return len(self.weights)

    @property
    def width(self) -> int:
        """M."""
        return self.heads * self.size

    @property
    def is_cross(self) -> bool:
        """Whether queries and keys are tokens of two texts."""
        return self.kind is Kind.CROSS

    def steps(self, key: int) -> int:
        """How many steps of a recurrent network lie between the key and the query.

        Between two texts: from the key to the encoder's last state, one step into the decoder, and on to the
        query (Sutskever et al. 2014, arXiv:1409.3215).
        """
        return self.keys - key + self.query if self.is_cross else abs(self.query - key)

    @property
    def longest_path(self) -> int:
        """The most steps between two tokens of this text in a recurrent network."""
        return self.keys + self.queries - 1 if self.is_cross else self.keys - 1

    @property
    def sequential(self) -> int:
        """The steps of a recurrent network that must wait for one another."""
        return self.keys + self.queries if self.is_cross else self.keys

    @property
    def dot_operations(self) -> int:
        """Operations of q·k for all pairs: a multiplication and an addition per feature."""
        return 2 * self.size * self.queries * self.keys

    @property
    def additive_products(self) -> int:
        """Operations of W q and U k for all queries and keys."""
        return 2 * self.size**2 * (self.queries + self.keys)

    @property
    def additive_pairs(self) -> int:
        """Operations for all pairs: add, tanh, and the product with v."""
        return 4 * self.size * self.queries * self.keys

    @property
    def recurrent_operations(self) -> int:
        """n·d² of the paper's table: every step multiplies a state with a matrix."""
        return self.sequential * self.width**2

    @property
    def windowed_operations(self) -> int:
        """r·n·d of the paper's table: no query has more keys than the window, or than the text."""
        assert self.window is not None, "only within one text"
        return min(self.window.tokens, self.keys) * self.queries * self.width

    @property
    def longest_windowed(self) -> int:
        """The layers that the longest path takes with the window; 0: there is no path between tokens."""
        assert self.window is not None, "only within one text"
        return -(-self.longest_path // self.window.reach) if self.window.reach else 0
