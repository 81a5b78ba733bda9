"""A trainable model: the native transformer over parameters that are initialised when first read."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import cross_entropy, embedding

from attn_cli.core.arrays import Array
from attn_cli.models.backend import Backend
from attn_cli.models.files.config import Config
from attn_cli.models.native.architectures.decoders.gpt2 import spec
from attn_cli.models.native.spec import Part, Spec
from attn_cli.models.native.transformer import Inputs, Transformer
from attn_cli.record import record
from attn_cli.training.corpus import START
from attn_cli.training.optimizer.muon import MuonAdamW
from attn_cli.training.recipe import Recipe
from attn_cli.vocabulary import DType

_SHARPER = 3.0  # factor on the spread of queries and keys: uniform attention learns nothing
_ALIKE = 0.5  # correlation of queries and keys: attention starts near the token itself
_SPREAD_OF_TOKENS = 0.05
_BETAS = (0.9, 0.95)  # of AdamW, as for GPT-3, arXiv:2005.14165


@record(frozen=True, slots=True)
class Start:
    """The scale of a model's initial weights."""

    spread: float  # standard deviation of a matrix
    positions: float  # root mean square of the position embeddings; token embeddings grow to it


_USUAL_START = Start(spread=0.02, positions=0.1)  # the spread is GPT-2's


def brief_start(width: int) -> Start:
    """The initialisation for a brief run, in which previous-token heads form sooner.

    The spread keeps sums over `width` features as large as those of GPT-2 over 256.
    """
    return Start(spread=0.32 / width**0.5, positions=0.15)


class Parameters:
    """The tensors of a checkpoint by name, as trainable parameters.

    It has the interface of `models.files.Weights`, but draws each tensor when the transformer first reads
    it, so that names and shapes are defined in one place, the family's own file.
    """

    def __init__(self, spec: Spec, seed: int, device: str, start: Start) -> None:
        self.tensors: dict[str, torch.nn.Parameter] = {}
        self._spec, self._seed, self._device, self._start = spec, seed, device, start
        self._tokens = f"{spec.embeddings.tokens}.weight"
        self._positions = f"{spec.embeddings.positions}.weight"

    def read(self, name: str, shape: tuple[int, ...]) -> Array:
        """The tensor, drawn when it is first read; position embeddings take no gradient."""
        if name not in self.tensors:
            drawn = self._drawn(name, shape).to(self._device)
            self.tensors[name] = torch.nn.Parameter(drawn, requires_grad=name != self._positions)
        return self.tensors[name]

    def rows(self, name: str, shape: tuple[int, int], indices: Any) -> Array:
        """(..., M) the rows of a matrix: consecutive ones for a `range`, else those of an array of ids."""
        matrix = self.read(name, shape)
        return (
            matrix[indices.start : indices.stop] if isinstance(indices, range) else embedding(indices, matrix)
        )

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """No tensor can be missing."""

    def stored(self, name: str) -> str:
        """The name: there is no file."""
        return name

    def _drawn(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """A new tensor: gains are 1, biases 0, position embeddings `waves`; the rest is normal around 0.

        The standard deviation is 0.02, three times that for queries and keys, divided by √2L for matrices
        that write to the residual stream (Radford et al. 2019); for token embeddings it is 0.05. Keys
        correlate with queries, as in trained models (Trockman and Kolter 2023, arXiv:2305.09828).
        """
        if name == self._positions:
            return torch.from_numpy(self._start.positions * waves(*shape))
        if len(shape) == 1:
            return torch.ones(shape) if _is_gain(name) else torch.zeros(shape)
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode(), self._seed))
        drawn = torch.randn(shape, generator=generator) * self._spread(name)
        if _belongs(name, self._spec.projections.fused):
            query, key, _ = torch.split(drawn, self._spec.width, dim=1)
            query *= _SHARPER
            key *= _SHARPER * (1 - _ALIKE**2) ** 0.5
            key += _ALIKE * query
        return drawn

    def _spread(self, name: str) -> float:
        if name == self._tokens:
            return _SPREAD_OF_TOKENS
        spread = self._start.spread
        return spread * (2 * self._spec.layers) ** -0.5 if self._is_added(name) else spread

    def _is_added(self, name: str) -> bool:
        return any(_belongs(name, part) for part in (self._spec.output, self._spec.feed_forward.down))


def waves(places: int, width: int) -> npt.NDArray[np.float32]:
    """(T, M) sinusoidal position embeddings with wavelengths from 2.5 to T/4 tokens and mean square 1.

    As in Vaswani et al. 2017 (arXiv:1706.03762, section 3.5), but with shorter wavelengths, which
    distinguish adjacent positions, none so long that it is almost constant, and with mean 0 over the
    positions. They are not learned: the step to the previous position is the same rotation everywhere.
    """
    lengths = np.geomspace(2.5, max(places / 4, 8.0), (width + 1) // 2)
    angles = 2 * np.pi * np.arange(places)[:, None] / lengths
    both = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)[:, :width]
    both -= both.mean(axis=0)
    return np.asarray(both / np.sqrt(np.mean(both**2) + 1e-12), dtype=np.float32)


def _belongs(name: str, part: Part | None) -> bool:
    """Whether the tensor is the weight of this part in some layer."""
    assert part is not None, "a family names its parts"
    before, after = part.name.split("{layer}")
    return name.startswith(before) and name.endswith(f"{after}.weight")


def _is_gain(name: str) -> bool:
    return name.endswith(".weight")


class Network:
    """A transformer whose weights are parameters, and the loss of its predictions."""

    def __init__(self, config: dict[str, Any], seed: int, device: str, *, is_brief: bool = False) -> None:
        self.config, self.is_brief = config, is_brief
        self.spec = spec(Config(config, Path("config.json")))
        start = brief_start(self.spec.width) if is_brief else _USUAL_START
        self.parameters = Parameters(self.spec, seed, device, start)
        backend = Backend("torch", device, DType.FLOAT32, lambda array: array)
        self.transformer = Transformer(self.spec, self.parameters, backend)
        self.device = device
        with torch.no_grad():
            self.logits(torch.zeros((1, 1), dtype=torch.int64, device=device))  # draws every tensor

    @property
    def context(self) -> int:
        """T, the number of tokens the model can read."""
        assert self.spec.longest is not None, "GPT-2 has a maximum length"
        return self.spec.longest

    @property
    def learning(self) -> dict[str, torch.nn.Parameter]:
        """The trainable tensors by name."""
        return {name: tensor for name, tensor in self.parameters.tensors.items() if tensor.requires_grad}

    @property
    def size(self) -> int:
        """The number of parameters, including the fixed position embeddings."""
        return sum(tensor.numel() for tensor in self.parameters.tensors.values())

    @property
    def is_finite(self) -> bool:
        """Whether every weight is finite."""
        return all(bool(torch.isfinite(tensor).all()) for tensor in self.parameters.tensors.values())

    def round_to(self, dtype: DType) -> None:
        """Round every weight to the precision of this format."""
        for tensor in self.parameters.tensors.values():
            tensor.data.copy_(tensor.data.to(getattr(torch, dtype.value)))

    def logits(self, ids: torch.Tensor, first: int = 0) -> torch.Tensor:
        """(B, T, V) next-token logits for ids (B, T) from position `first` on."""
        *_, last = self.transformer.hidden_states(Inputs(ids, (), first=first))
        name = f"{self.spec.embeddings.tokens}.weight"
        return last @ self.parameters.tensors[name].T  # type: ignore[no-any-return]

    def losses(self, rows: torch.Tensor, first: int = 0) -> torch.Tensor:
        """(B, T) nats: the cross-entropy of each token but the first of rows (B, T + 1), from `first` on."""
        logits, following = self.logits(rows[:, :-1], first).float(), rows[:, 1:]
        surprise = cross_entropy(logits.flatten(0, 1), following.flatten(), reduction="none")
        return surprise.view(following.shape)

    def optimizer(self, decay: float) -> MuonAdamW:
        """AdamW over all tensors; matrices have weight decay, gains and biases do not. arXiv:1711.05101.

        In a brief run, Muon updates the matrices inside the blocks instead.
        """
        groups: dict[tuple[int, float], list[torch.nn.Parameter]] = {}
        for name, tensor in self.learning.items():
            pieces = self._pieces(name, tensor) if self.is_brief else 0
            shrinks = decay if tensor.ndim > 1 and not pieces else 0.0
            groups.setdefault((pieces, shrinks), []).append(tensor)
        listed = [
            {"params": tensors, "pieces": pieces, "weight_decay": shrinks}
            for (pieces, shrinks), tensors in groups.items()
        ]
        return MuonAdamW(listed, betas=_BETAS, fused=True)

    def _pieces(self, name: str, tensor: torch.Tensor) -> int:
        """The number of matrices concatenated in a tensor of a block; 0 for all other tensors."""
        if tensor.ndim == 1 or not name.startswith("h."):
            return 0
        return 3 if _belongs(name, self.spec.projections.fused) else 1


def config_of(recipe: Recipe, vocabulary: int) -> dict[str, Any]:
    """The GPT-2 `config.json` for a model of this recipe."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "attn_pdrop": 0.0,
        "bos_token_id": START,
        "dtype": "float32",  # of the computation, whatever the stored format
        "embd_pdrop": 0.0,
        "eos_token_id": START,
        "layer_norm_epsilon": 1e-5,
        "n_embd": recipe.width,
        "n_head": recipe.heads,
        "n_layer": recipe.layers,
        "n_positions": recipe.context,
        "resid_pdrop": 0.0,
        "tie_word_embeddings": True,
        "vocab_size": vocabulary,
    }
