"""A text in pieces, each with the weight that one query gives to its tokens."""

import numpy as np
import numpy.typing as npt

from attn_cli.record import record


@record(frozen=True, slots=True)
class Piece:
    """A part of a text that belongs to the same tokens, or to none."""

    text: str  # as it is written, or the text of a token that is not part of the text, such as [CLS]
    tokens: tuple[int, ...] = ()  # the positions of its tokens
    is_mark: bool = False  # whether it stands for a token that is not part of the text


@record(frozen=True, slots=True, eq=False)
class ShadedText:
    """The weights of one query on the P pieces of the text that the keys are computed from.

    A piece is a user-perceived character or more: its weight is the sum over its tokens.
    """

    title: str
    query: str  # its position and its text
    query_token: int
    pieces: tuple[Piece, ...]
    weights: npt.NDArray[np.float64]  # (P,)
    shown: npt.NDArray[np.bool_]  # (P,) false for white space and for tokens that are not shown
    masked: npt.NDArray[np.bool_]  # (P,) true where the query may not look
    query_text: tuple[Piece, ...] = ()  # the decoder's text, if the query is a token of it
    sink: float | None = None  # what a learned sink takes of the row
    elsewhere: float | None = None  # the weight of the tokens that are not shown; None: all are shown
    is_divided: bool = False  # whether the weights are divided by what hidden keys leave of the row
    masked_tokens: int = 0
    are_words: bool = False  # whether words stand in place of tokens, each with the number of its first one

    @property
    def unit(self) -> str:
        """What the weights are of."""
        return "word" if self.are_words else "token"

    @property
    def query_pieces(self) -> frozenset[int]:
        """The indices of the pieces that the query belongs to, in its own text."""
        pieces = self.query_text or self.pieces
        return frozenset(i for i, piece in enumerate(pieces) if self.query_token in piece.tokens)

    @property
    def largest(self) -> float:
        """The largest weight that is shown."""
        return float(self.weights[self.shown].max(initial=0.0))

    def weight_of(self, token: int) -> float:
        """The weight of the piece that a token belongs to; 0 if it is not shown."""
        piece = next(i for i, piece in enumerate(self.pieces) if token in piece.tokens)
        return float(self.weights[piece]) if self.shown[piece] else 0.0
