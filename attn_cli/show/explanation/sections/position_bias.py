"""What the position bias of one pair is made of, in a sentence and an equation."""

from collections.abc import Iterator

from attn_cli.answers.weight import BiasTerms
from attn_cli.show.explanation.document import Block, Paragraph, words
from attn_cli.show.explanation.figures import Figure
from attn_cli.show.explanation.sections.board import Board


def bias_blocks(board: Board, terms: BiasTerms | None, bias: Figure) -> Iterator[Block]:
    """The bias, and where it comes from if that is known."""
    yield Paragraph(
        words(
            "The model adds {bias} for the positions of the two tokens:",
            "O modelo soma {bias} pelas posições dos dois tokens:",
            bias=bias,
        )
    )
