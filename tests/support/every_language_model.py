"""A tiny random twin with its language head of every model type in transformers that has one."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from attn_cli.errors import AttnError
from attn_cli.models.bridge.hf_models import inputs_of
from attn_cli.models.bridge.language_head.prediction import language_class
from attn_cli.models.hf_errors import translated_errors
from attn_cli.models.source import Texts
from attn_cli.models.tokens.token import Token
from tests.support.every_type import IDS, OWN, TARGET, check_size, stir, tiny
from tests.support.twins import save_tokenizer, word_piece


def language_twin(kind: str, directory: Path) -> Any:
    """The twin, saved in `directory`.

    Raises:
        AttnError: the type has no language head.
    """
    if kind not in transformers.CONFIG_MAPPING:
        raise AttnError(f"transformers {transformers.__version__} does not have it", "none")
    with translated_errors("no twin"):
        config = tiny(transformers.CONFIG_MAPPING[kind], OWN.get(kind, {}))
        config.architectures = []
        check_size(config)
        named = language_class(kind, config).named
        torch.manual_seed(0)
        model = named._from_config(config, attn_implementation="eager", dtype=torch.float32).eval()  # noqa: SLF001
        stir(model)
        model.save_pretrained(directory)
    save_tokenizer(word_piece(), directory)
    return model


def twin_texts(model: Any) -> Texts:
    """The tokens that the twins read."""
    target = TARGET if model.config.is_encoder_decoder else ()
    return Texts(_tokens(IDS), _tokens(target))


def whole_logits(model: Any, texts: Texts) -> npt.NDArray[np.floating]:
    """(T, V) the logits that the model returns."""
    ids, target = ([token.id for token in tokens] for tokens in (texts.tokens, texts.target))
    with torch.no_grad():
        logits = model(**inputs_of(model, ids, [0] * len(ids), target)).logits
    found: npt.NDArray[np.floating] = logits[0].float().numpy()
    return found


def _tokens(ids: tuple[int, ...]) -> tuple[Token, ...]:
    return tuple(
        Token(place, index, str(index), str(index), 0, 0, special=False, segment=0)
        for place, index in enumerate(ids)
    )
