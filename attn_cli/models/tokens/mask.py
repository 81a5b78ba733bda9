"""The token that stands for a masked word: `[MASK]` of BERT, `<mask>` of RoBERTa."""

from pathlib import Path

from attn_cli.models.tokens.beside import read_beside

_USUAL = frozenset({"[MASK]", "<mask>"})  # if no file names it


def mask_pieces(directory: Path | None) -> frozenset[str]:
    """The piece of the masked token, as the files beside the tokenizer name it; else the usual ones.

    Raises:
        AttnError: a file is damaged, or a link out of the checkpoint.
    """
    for name in ("tokenizer_config.json", "special_tokens_map.json") if directory else ():
        assert directory is not None, "there are no names without it"
        said = (read_beside(directory, name) or {}).get("mask_token")
        piece = said.get("content") if isinstance(said, dict) else said
        if isinstance(piece, str) and piece:
            return frozenset({piece})
    return _USUAL
