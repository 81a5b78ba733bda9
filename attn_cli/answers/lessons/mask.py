"""What does a mask do to scores? A row with and without it, and with two masks that are wrong."""

from collections.abc import Sequence
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from attn_cli.answers.lessons.row import SoftmaxRow
from attn_cli.core.arrays import Exact
from attn_cli.core.masks import HiddenBy
from attn_cli.record import record


class Imagined(Enum):
    """A mask that the model does not have, put on its scores to see what it would do."""

    CAUSAL = auto()
    PADDING = auto()  # of the last keys


@record(frozen=True, slots=True, eq=False)
class MaskStudy:
    """A row with several masks; S keys."""

    model: str
    place: tuple[int, int]
    asked: int  # the query that was asked for
    query: int  # the one that is shown: if the mask hides nothing from that, another
    imagined: Imagined | None  # None: the mask is the model's own
    hidden: npt.NDArray[np.bool_]  # (S,)
    reasons: Sequence[HiddenBy | None]  # of each key; None: the query may look at it
    open: SoftmaxRow  # without the mask
    masked: SoftmaxRow  # with -inf for hidden keys
    zeros: SoftmaxRow  # with the logit 0 for hidden keys

    @property
    def hides_one(self) -> bool:
        """Whether a single key is hidden."""
        return int(self.hidden.sum()) == 1

    @property
    def zeroed(self) -> Exact:
        """(S,) the weights without the mask, with those of hidden keys set to 0 afterwards."""
        return np.where(self.hidden, 0.0, self.open.weights)
