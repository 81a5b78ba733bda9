"""Our own code, broken in one place at a time: `attn verify` must find each, in the step where it begins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

from attn_cli.core import attention, multihead, positions
from attn_cli.core.masks import Band, sliding
from attn_cli.models import backend
from attn_cli.models.native import families, spec, transformer
from attn_cli.models.native.spec import Part, Spec
from attn_cli.vocabulary import Check, Kind

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Mutant:
    """One change of our computation, the twin that it bites, and the first step that differs."""

    twin: str
    step: Check
    apply: Callable[[Patch], None]
    kind: Kind = Kind.SELF


def of_spec(change: Callable[[Spec], Spec]) -> Callable[[Patch], None]:
    """A change of what is known of a family."""
    read = families.read_spec

    def apply(patch: Patch) -> None:
        patch.setattr(families, "read_spec", lambda config, **how: change(read(config, **how)))

    return apply


def of_operands(change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """A change of the queries, keys and values of every layer."""
    compute = multihead.MultiHeadAttention.operands

    def apply(patch: Patch) -> None:
        patch.setattr(
            multihead.MultiHeadAttention, "operands", lambda self, *given: change(compute(self, *given))
        )

    return apply


def of_function(home: Any, name: str, change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """A function, or a value, replaced by another one made from it."""
    return lambda patch: patch.setattr(home, name, change(getattr(home, name)))


def of_rotary(change: Callable[[Any], Any]) -> Callable[[Patch], None]:
    """A change of the rotary embedding of every layer."""
    return of_spec(lambda one: replace(one, rotary=lambda *given: change(one.rotary(*given))))


def _without_bias(name: str) -> Callable[[Patch], None]:
    def change(one: Spec) -> Spec:
        part: Part = getattr(one.projections, name)
        changed: dict[str, Any] = {name: replace(part, has_bias=False)}
        return replace(one, projections=replace(one.projections, **changed))

    return of_spec(change)


def _embedded(**how: Any) -> Callable[[Patch], None]:
    return of_spec(lambda one: replace(one, embeddings=replace(one.embeddings, **how)))


def _fed(**how: Any) -> Callable[[Patch], None]:
    return of_spec(lambda one: replace(one, feed_forward=replace(one.feed_forward, **how)))


def _projected(**how: Any) -> Callable[[Patch], None]:
    return of_spec(lambda one: replace(one, projections=replace(one.projections, **how)))


def _both_sides(one: Spec) -> Spec:
    assert one.decoder is not None
    assert one.decoder.relative is not None
    buckets = replace(one.decoder.relative.buckets, both_sides=True)
    decoder = replace(one.decoder, relative=replace(one.decoder.relative, buckets=buckets))
    return replace(one, decoder=decoder)


def _earlier(one: Spec) -> Spec:
    first = one.embeddings.first - 1
    return replace(one, longest=(one.longest or 0) + 1, embeddings=replace(one.embeddings, first=first))


def _of_wrong_axis(softmax: Any) -> Any:
    return lambda logits, sink: (np.swapaxes(softmax(np.swapaxes(logits, -1, -2), sink)[0], -1, -2), None)


def _rounded(array: Any) -> Any:
    return torch.tensor(array).to(torch.bfloat16).float().numpy()


def _whole(rotary: Any) -> Any:
    half = rotary.frequencies
    return replace(rotary, frequencies=np.concatenate([half, half]), exact=None)


def _without_content(one: Spec) -> Spec:
    assert one.content_bias is not None
    return replace(one, content_bias=replace(one.content_bias, queries=None))


def _reversed(values: Any) -> Any:
    return np.flip(values, axis=-3)


MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "scale 1 % too large": Mutant(
            "bert", Check.SCORES, of_operands(lambda one: replace(one, scale=1.01 * one.scale))
        ),
        "scale 1/D in place of 1/√D": Mutant(
            "gpt2", Check.SCORES, of_operands(lambda one: replace(one, scale=one.scale**2))
        ),
        "GPT-2's scale by layer ignored": Mutant(
            "gpt2, by layer", Check.SCORES, of_spec(lambda one: replace(one, scale=lambda _: None))
        ),
        "T5's scores scaled": Mutant(
            "t5",
            Check.SCORES,
            of_spec(lambda one: replace(one, scale=lambda _: one.head_size**-0.5)),
            Kind.ENCODER,
        ),
        "base of RoPE 1 % too large": Mutant(
            "llama",
            Check.QUERIES,
            of_rotary(
                lambda one: replace(
                    one, frequencies=one.frequencies * 1.01 ** -np.linspace(0, 1, one.frequencies.size)
                )
            ),
        ),
        "RoPE of adjacent features in place of halves": Mutant(
            "llama", Check.QUERIES, of_rotary(lambda one: replace(one, interleaved=True))
        ),
        "positions of RoPE start at 1": Mutant(
            "llama",
            Check.QUERIES,
            of_function(positions, "positions", lambda count: lambda *given: count(*given) + 1),
        ),
        "RoPE turns the whole head in place of a part": Mutant("gpt_neox", Check.QUERIES, of_rotary(_whole)),
        "linear scaling of RoPE ignored": Mutant(
            "llama, linear",
            Check.QUERIES,
            of_rotary(lambda one: replace(one, frequencies=4 * one.frequencies)),
        ),
        "causal mask lets one more key through": Mutant(
            "gpt2", Check.MASK, of_function(spec, "causal", lambda _: Band(after=1))
        ),
        "causal mask hides the query's own key": Mutant(
            "gpt_neo", Check.MASK, of_function(spec, "causal", lambda _: Band(after=-1))
        ),
        "window one token too long": Mutant(
            "mistral", Check.MASK, of_spec(lambda one: replace(one, window=lambda _: sliding(5)))
        ),
        "window in the wrong layers": Mutant(
            "gemma2",
            Check.MASK,
            of_spec(lambda one: replace(one, window=lambda layer: one.window((layer + 1) % one.layers))),
        ),
        "window to one side in place of both": Mutant(
            "modernbert",
            Check.MASK,
            of_spec(lambda one: replace(one, window=lambda layer: Band(after=0) if layer else one.window(0))),
        ),
        "QK-norm missing": Mutant("qwen3", Check.QUERIES, _projected(query_norm=None)),
        "key norm missing": Mutant("phi, normed heads", Check.KEYS, _projected(key_norm=None)),
        "epsilon of the norms 1e-5 in place of 1e-6": Mutant(
            "qwen2", Check.INPUT, of_spec(lambda one: replace(one, epsilon=1e-5))
        ),
        "key/value heads taken in turn in place of repeated": Mutant(
            "llama",
            Check.KEYS,
            of_function(
                attention.Operands, "kv_head", lambda _: lambda self, head: int(head) % int(self.kv_heads)
            ),
        ),
        "key/value head shifted by one": Mutant(
            "granite",
            Check.KEYS,
            of_function(
                attention.Operands,
                "kv_head",
                lambda find: lambda self, head: (find(self, head) + 1) % self.kv_heads,
            ),
        ),
        "key/value head named wrong, and read right": Mutant(
            "llama",
            Check.KV_HEADS,
            of_function(multihead.Attention, "kv_head", lambda _: lambda _self, head: int(head) % 2),
        ),
        "values of another head": Mutant(
            "bert", Check.VALUES, of_operands(lambda one: replace(one, values=_reversed(one.values)))
        ),
        "queries, keys and values in the wrong order": Mutant(
            "gpt_neox", Check.QUERIES, _projected(is_interleaved=False)
        ),
        "bias of W^Q dropped": Mutant("bert", Check.QUERIES, _without_bias("query")),
        "bias of W^V dropped": Mutant("qwen2", Check.VALUES, _without_bias("value")),
        "bias of W^O dropped": Mutant(
            "bert",
            Check.OUTPUT,
            of_spec(lambda one: replace(one, output=replace(one.output, has_bias=False))),
        ),
        "bias of W^O added twice": Mutant(
            "bert",
            Check.OUTPUT,
            of_function(
                multihead.Attention,
                "projected",
                lambda project: lambda self, contexts: project(self, contexts) + self.projection.bias,
            ),
        ),
        "heads' slices of W^O swapped": Mutant(
            "gpt2",
            Check.HEAD_OUTPUTS,
            of_function(
                multihead.Attention,
                "shares",
                lambda share: lambda self, context, heads: share(self, context, [*heads][::-1]),
            ),
        ),
        "contexts joined in the wrong order": Mutant(
            "roberta",
            Check.OUTPUT,
            of_function(multihead, "attend", lambda attend: lambda *given: _reversed(attend(*given))),
        ),
        "soft cap missing": Mutant("gemma2", Check.LOGITS, of_spec(lambda one: replace(one, softcap=None))),
        "slopes of ALiBi reversed": Mutant(
            "bloom", Check.LOGITS, of_function(positions, "_slopes", lambda make: lambda n: make(n)[::-1])
        ),
        "T5's decoder counts distances to both sides": Mutant(
            "t5", Check.LOGITS, of_spec(_both_sides), Kind.DECODER
        ),
        "DeBERTa's position-to-content term missing": Mutant(
            "deberta-v2", Check.LOGITS, of_spec(_without_content)
        ),
        "softmax over the queries": Mutant(
            "bert", Check.WEIGHTS, of_function(attention, "softmax_and_sink", _of_wrong_axis)
        ),
        "weights 1 % too large in the sum of values": Mutant(
            "electra",
            Check.CONTEXT,
            of_function(attention, "weighted_sum", lambda total: lambda w, v: 1.01 * total(w, v)),
        ),
        "norm after the sum in place of before": Mutant(
            "opt", Check.INPUT, of_spec(lambda one: replace(one, is_pre_norm=False))
        ),
        "parallel layer run one part after the other": Mutant(
            "gptj", Check.INPUT, of_spec(lambda one: replace(one, is_parallel=False))
        ),
        "tanh approximation in place of GELU": Mutant("bert", Check.INPUT, _fed(activation="gelu_new")),
        "residual multiplier ignored": Mutant(
            "granite", Check.INPUT, of_spec(lambda one: replace(one, residual_scale=1.0))
        ),
        "embeddings not scaled": Mutant("gemma", Check.INPUT, _embedded(scale=1.0)),
        "offset of the norms' weights missing": Mutant(
            "gemma", Check.INPUT, of_spec(lambda one: replace(one, gain_offset=0.0))
        ),
        "segment embeddings ignored": Mutant("bert", Check.INPUT, _embedded(segments=None)),
        "first position one row too early": Mutant("roberta", Check.INPUT, of_spec(_earlier)),
        "sines and cosines alternate": Mutant(
            "marian",
            Check.INPUT,
            of_function(
                transformer,
                "sinusoids",
                lambda make: (
                    lambda *given: np.reshape(
                        np.swapaxes(np.reshape(make(*given), (-1, 2, 16)), 1, 2), (-1, 32)
                    )
                ),
            ),
            Kind.ENCODER,
        ),
        "cross-attention reads the encoder's embeddings": Mutant(
            "bart",
            Check.KEYS,
            of_function(
                transformer.Transformer,
                "memory",
                lambda _: lambda self, inputs: next(self.hidden_states(inputs)),
            ),
            Kind.CROSS,
        ),
        "weights rounded to bfloat16": Mutant(
            "llama",
            Check.INPUT,
            of_function(
                backend,
                "_numpy_backend",
                lambda make: lambda dtype: replace(make(dtype), convert=_rounded),
            ),
        ),
    }
)
"""What is changed, in words, to the mutant."""
