"""Trains a byte-level BPE tokenizer.

Sennrich et al. 2016, arXiv:1508.07909; over bytes: Radford et al. 2019 (GPT-2).
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from attn_cli.training.corpus import START, stretches

START_PIECE = "<s>"

_ENOUGH = 100_000_000  # characters to train on: a longer corpus is sampled evenly


def learn(files: Sequence[Path], characters: int, size: int) -> tokenizers.Tokenizer:
    """A tokenizer of at most `size` pieces, trained on `files` with `characters` characters in total.

    It puts `<s>` before every text, as in every training row.
    """
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[START_PIECE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(files, every=1 + characters // _ENOUGH), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START_PIECE} $A", special_tokens=[(START_PIECE, START)]
    )
    return tokenizer


def config(context: int) -> dict[str, Any]:
    """The `tokenizer_config.json` that transformers needs beside `tokenizer.json`."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": START_PIECE,
        "eos_token": START_PIECE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
    }


def _sample(files: Sequence[Path], every: int) -> Iterator[str]:
    return islice(chain.from_iterable(map(stretches, files)), 0, None, every)
