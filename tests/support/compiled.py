"""A transformer compiled by hand: two layers with a previous-token and an induction head.

The stream has a feature per token, position and previous token, and the negative of each, so that every
vector has mean 0 and LayerNorm only divides. Head 0.0 copies the token before into the third group; head 1.1
looks for keys whose previous token is the query's token. Every other weight is 0.

On paper: a token and its position have 4 features of ±1 among 64, so layer 0 multiplies by 4; head 0.0 writes
±4. Then 36 / 64 is the variance, and layer 1 multiplies by 4/3: its query has 12 · 4/3 = 16 where its key has
12 · 16/3 = 64, and the score of a match is 16 · 64 / √32 = 181.02.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers
from safetensors.numpy import save_file
from tokenizers import models, pre_tokenizers

from tests.support.twins import save_tokenizer

WORDS = tuple("abcdefgh")
POSITIONS = 16
HALF = 2 * len(WORDS) + POSITIONS
WIDTH = 2 * HALF
TOKEN, POSITION, PREVIOUS = 0, len(WORDS), len(WORDS) + POSITIONS
HEAD = WIDTH // 2
SHARP = 12.0  # of W^Q and W^K each, so that weights are 0 or 1
_CONFIG = {
    "model_type": "gpt2",
    "architectures": ["GPT2Model"],
    "vocab_size": len(WORDS),
    "n_embd": WIDTH,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": POSITIONS,
    "n_inner": 4,
    "layer_norm_epsilon": 1e-12,
}

Matrix = npt.NDArray[np.float32]


def save_compiled(directory: Path) -> Path:
    """Save the model and a tokenizer with one token per word."""
    tensors = {
        "wte.weight": embedding_rows(len(WORDS), TOKEN),
        "wpe.weight": embedding_rows(POSITIONS, POSITION),
    }
    tensors |= {"ln_f.weight": np.ones(WIDTH, np.float32), "ln_f.bias": np.zeros(WIDTH, np.float32)}
    for layer in range(2):
        tensors |= empty_layer(f"h.{layer}.")
    _previous_token(tensors)
    _induction(tensors)
    save_file(tensors, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(_CONFIG))
    inner = tokenizers.Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="a"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    save_tokenizer(inner, directory)
    return directory


def empty_layer(name: str) -> dict[str, Matrix]:
    """A layer that adds nothing."""
    shapes: dict[str, tuple[int, ...]] = {
        "attn.c_attn.weight": (WIDTH, 3 * WIDTH),
        "attn.c_attn.bias": (3 * WIDTH,),
        "attn.c_proj.weight": (WIDTH, WIDTH),
        "attn.c_proj.bias": (WIDTH,),
        "mlp.c_fc.weight": (WIDTH, 4),
        "mlp.c_fc.bias": (4,),
        "mlp.c_proj.weight": (4, WIDTH),
        "mlp.c_proj.bias": (WIDTH,),
        "ln_1.bias": (WIDTH,),
        "ln_2.bias": (WIDTH,),
    }
    norms = {f"{name}ln_{number}.weight": np.ones(WIDTH, np.float32) for number in (1, 2)}
    return norms | {name + each: np.zeros(shape, np.float32) for each, shape in shapes.items()}


def _previous_token(tensors: dict[str, Matrix]) -> None:
    """Head 0.0: position p asks for the key at p - 1, and copies its token."""
    projections, output = tensors["h.0.attn.c_attn.weight"], tensors["h.0.attn.c_proj.weight"]
    for place in range(POSITIONS):
        projections[POSITION + place, place] = SHARP
        if place + 1 < POSITIONS:
            projections[POSITION + place, WIDTH + place + 1] = SHARP
    for word in range(len(WORDS)):
        projections[TOKEN + word, 2 * WIDTH + word] = 1
        output[word, PREVIOUS + word] = 1
        output[word, HALF + PREVIOUS + word] = -1


def _induction(tensors: dict[str, Matrix]) -> None:
    """Head 1.1: a token asks for keys that follow the same token."""
    projections = tensors["h.1.attn.c_attn.weight"]
    for word in range(len(WORDS)):
        projections[TOKEN + word, HEAD + word] = SHARP
        projections[PREVIOUS + word, WIDTH + HEAD + word] = SHARP


def embedding_rows(count: int, group: int) -> Matrix:
    """(count, M) embeddings: 1 in the feature of its own, -1 in its negative."""
    rows = np.zeros((count, WIDTH), np.float32)
    own = np.arange(count)
    rows[own, group + own], rows[own, HALF + group + own] = 1, -1
    return rows
