"""The token that stands for a masked word: `[MASK]` of BERT, `<mask>` of RoBERTa."""

from pathlib import Path

from attn_cli.models.tokens.beside import read_beside
from attn_cli.models.tokens.token import Tokenizer

_FILES = ("tokenizer_config.json", "special_tokens_map.json")
_USUAL = ("[MASK]", "<mask>")


def mask_pieces(tokenizer: Tokenizer) -> frozenset[str]:
    """The piece of the masked token that a file beside the tokenizer names; else the usual one, if it has it.

    Raises:
        AttnError: a file is damaged, or a link out of the checkpoint.
    """
    for name in _FILES:
        piece = None if tokenizer.directory is None else _named(tokenizer.directory, name)
        if piece is not None:
            return frozenset({piece})
    return frozenset(piece for piece in _USUAL if any(token.piece == piece for token in tokenizer(piece)))


def _named(directory: Path, file: str) -> str | None:
    said = (read_beside(directory, file) or {}).get("mask_token")
    piece = said.get("content") if isinstance(said, dict) else said
    return piece if isinstance(piece, str) and piece else None
