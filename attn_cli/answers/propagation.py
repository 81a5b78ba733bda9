"""How much of each token of a text reaches a position through all layers, by weights alone."""

from attn_cli.core.arrays import Exact
from attn_cli.record import record
from attn_cli.vocabulary import Kind


@record(frozen=True, slots=True, eq=False)
class Propagation:
    """The answer at one position; L layers, T tokens. What was not asked for is None."""

    kind: Kind  # the self-attention of one stack
    position: int
    is_causal: bool
    rollout: Exact | None = None  # (L, T) after each layer
    flow: Exact | None = None  # (T,) through all layers

    @property
    def last_rollout(self) -> Exact | None:
        """(T,) the rollout after the last layer."""
        return None if self.rollout is None else self.rollout[-1]
