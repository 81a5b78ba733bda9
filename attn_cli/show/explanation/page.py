"""An explanation as a document: the question, five sections, and a command to go on with."""

from collections.abc import Iterator

from attn_cli.answers.weight import Explanation
from attn_cli.grid import Sides
from attn_cli.show.explanation.document import Block, Document
from attn_cli.show.explanation.sections import context, projections, scores, softmax, summary
from attn_cli.show.explanation.sections.board import Board


def explanation_page(
    explanation: Explanation,
    sides: Sides,
    model: str,
    *,
    digits: int,
    most: int,
    has_matrices: bool,
) -> Document:
    """The arithmetic of one row and one of its weights, in full."""
    board = Board.of(explanation, sides, model, digits=digits, most=most, has_matrices=has_matrices)
    blocks = list(_blocks(board))
    return Document(blocks, board.ledger.settle())


def _blocks(board: Board) -> Iterator[Block]:
    yield from summary.opening(board)
    for section in (projections, scores, softmax, context):
        yield from section.blocks(board)
    yield from summary.closing(board)
