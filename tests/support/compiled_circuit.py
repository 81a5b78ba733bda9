"""A transformer compiled by hand: two layers whose four heads make the prediction, with a language head.

0.0 writes the token before into PREVIOUS; 0.1 looks at all places of the same token, and takes it away from
ANSWER; 1.0 looks for keys whose PREVIOUS is its own token, and adds their token to ANSWER (induction); 1.1
rests on the first word, `s`, and reads nothing from it (a sink). As in `compiled.py` a feature has its
negative in the other half, so that every vector has mean 0. Numbers are chosen so that norms divide by nice
ones.
"""

import json
from pathlib import Path

import numpy as np
import tokenizers
from safetensors.numpy import save_file
from tokenizers import models, pre_tokenizers

from tests.support.compiled import HALF, HEAD, SHARP, WIDTH, Matrix, embedding_rows, empty_layer
from tests.support.twins import save_tokenizer

WORDS = tuple("sabcde")
PLACES = 8
TOKEN, PLACE, PREVIOUS, ANSWER = 0, 6, 14, 20  # the groups of features, the last up to 26
EMBEDDED = 2.0  # of a token, and of its place
OF_PREVIOUS, OF_SAME, OF_FOUND = 3 / 4, -1 / 4, 9 / 2  # what W^O of 0.0, 0.1 and 1.0 multiplies by
GAIN = 9 / 8  # of the final norm
SHIFT = 1 / 2  # of the final norm, in the feature of ANSWER for `c`
OF_TOKEN, OF_PREVIOUS_TOKEN = -1 / 4, 1 / 4  # what the language head reads of these groups; of ANSWER it is 1
_CONFIG = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "tie_word_embeddings": False,
    "vocab_size": len(WORDS),
    "n_embd": WIDTH,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": PLACES,
    "n_inner": 4,
    "layer_norm_epsilon": 0.0,
}


def save_circuit(directory: Path) -> Path:
    """Save the model and a tokenizer with one token per word."""
    tensors = {
        "wte.weight": EMBEDDED * embedding_rows(len(WORDS), TOKEN),
        "wpe.weight": EMBEDDED * embedding_rows(PLACES, PLACE),
        "ln_f.weight": np.full(WIDTH, GAIN, np.float32),
        "ln_f.bias": np.zeros(WIDTH, np.float32),
    }
    tensors["ln_f.bias"][ANSWER + WORDS.index("c")] = SHIFT
    for layer in range(2):
        tensors |= empty_layer(f"h.{layer}.")
    _write_heads(tensors)
    named = {f"transformer.{name}": tensor for name, tensor in tensors.items()}
    save_file(named | {"lm_head.weight": _language_head()}, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(_CONFIG))
    inner = tokenizers.Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="s"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    save_tokenizer(inner, directory)
    return directory


def _language_head() -> Matrix:
    count = len(WORDS)
    answer, token, previous = (embedding_rows(count, group) for group in (ANSWER, TOKEN, PREVIOUS))
    rows: Matrix = answer + OF_TOKEN * token + OF_PREVIOUS_TOKEN * previous
    return rows


def _write_heads(tensors: dict[str, Matrix]) -> None:
    first, second = (tensors[f"h.{layer}.attn.c_attn.weight"] for layer in range(2))
    for place in range(PLACES):
        _ask(first, 0, PLACE + place, place)
        if place + 1 < PLACES:
            _offer(first, 0, PLACE + place, place + 1)
        _ask(second, 1, PLACE + place, 0)
    _offer(second, 1, TOKEN + WORDS.index("s"), 0)
    for word in range(len(WORDS)):
        _ask(first, 1, TOKEN + word, word)
        _offer(first, 1, TOKEN + word, word)
        _ask(second, 0, TOKEN + word, word)
        _offer(second, 0, PREVIOUS + word, word)
        _move(tensors, (0, 0), word, PREVIOUS, OF_PREVIOUS)
        _move(tensors, (0, 1), word, ANSWER, OF_SAME)
        _move(tensors, (1, 0), word, ANSWER, OF_FOUND)


def _ask(projections: Matrix, head: int, feature: int, dimension: int) -> None:
    """W^Q: this feature of a query asks for keys with the dimension."""
    projections[feature, head * HEAD + dimension] = SHARP


def _offer(projections: Matrix, head: int, feature: int, dimension: int) -> None:
    """W^K: this feature of a key has the dimension."""
    projections[feature, WIDTH + head * HEAD + dimension] = SHARP


def _move(tensors: dict[str, Matrix], place: tuple[int, int], word: int, to: int, factor: float) -> None:
    """W^V and W^O: the word that stands at a key is written into another group."""
    layer, head = place
    tensors[f"h.{layer}.attn.c_attn.weight"][TOKEN + word, 2 * WIDTH + head * HEAD + word] = 1
    output = tensors[f"h.{layer}.attn.c_proj.weight"]
    output[head * HEAD + word, to + word] = factor
    output[head * HEAD + word, HALF + to + word] = -factor
