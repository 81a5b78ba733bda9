"""Writes a graph of effects in the schema of attribution graphs that Neuronpedia's viewer reads.

`graph-schema.json` in github.com/hijohnnylin/neuronpedia. Its links have no names, so a head is a node of its
own: tokens lead to it, and it leads to the logit. Its features are those of transcoders; here they are
the heads of a layer, by their number, and after them its feed-forward block.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from attn_cli.answers.graph import EdgeKind, GraphEdge
from attn_cli.safe_text import printable
from attn_cli.show import data
from attn_cli.show.graph.content import GraphContent, of_whole

Fields = dict[str, object]

_NO_MARKUP = str.maketrans(
    {
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        "&": "\N{FULLWIDTH AMPERSAND}",
    }
)


def as_neuronpedia(content: GraphContent) -> bytes:
    """The file."""
    links = list(_links(content))
    document = {
        "metadata": _metadata(content),
        "qParams": {"pinnedIds": [], "supernodes": [], "linkType": "both", "clickedId": "", "sg_pos": ""},
        "nodes": list(_nodes(content, links)),
        "links": [{"source": source, "target": target, "weight": weight} for source, target, weight in links],
    }
    return f"{data.as_json(document)}\n".encode()


def _metadata(content: GraphContent) -> Fields:
    whole, document = of_whole(content), content.document
    tokens = cast("Sequence[Mapping[str, str]]", document["tokens"])
    name = str(whole["model"])
    share = content.graph.share
    held = f"{share.kept} of {share.total} looks, {share.held:.4g} of their absolute sum"
    return {
        "slug": re.sub(r"[^a-z0-9]+", "-", f"attn {name} {whole['position']}".lower()).strip("-"),
        "scan": name,
        "prompt": document["text"],
        "prompt_tokens": [printable(token["text"]) for token in tokens],
        "info": {
            "description": f"Direct effects of attention heads on a logit: {held}.",
            "generator": {"name": "attn", "version": document["attn"]},
        },
        "pruning_settings": {"edge_threshold": whole["keep"]},
    }


def _links(content: GraphContent) -> Iterator[tuple[str, str, float]]:
    """Tokens to heads, heads to the logit with the whole of their effect, then what has no head."""
    logit, heads = _logit_id(content), dict.fromkeys(_of_heads(content), None)
    for edge in content.graph.edges:
        if edge.head is not None:
            yield _token_id(content, edge), _component_id(content, edge), _weight(edge)
    effects = _effects(content)
    for layer, head in heads:
        yield _id(layer, head, _position(content)), logit, effects[layer, head]
    for edge in content.graph.edges:
        if edge.head is None:
            yield _component_id(content, edge), logit, _weight(edge)


def _weight(edge: GraphEdge) -> float:
    assert edge.weight is not None, "an effect is a number"
    return edge.weight


def _nodes(content: GraphContent, links: Sequence[tuple[str, str, float]]) -> Iterator[Fields]:
    """Every end of a link, once."""
    known = {_token_id(content, edge): _token(content, edge) for edge in content.graph.edges}
    known |= {_component_id(content, edge): _component(content, edge) for edge in content.graph.edges}
    known[_logit_id(content)] = _logit(content)
    used = dict.fromkeys(node for source, target, _ in links for node in (source, target))
    return (_with_rest(content, node, known[node]) for node in used)


def _with_rest(content: GraphContent, node: str, fields: Fields) -> Fields:
    """The fields that the viewer expects of every node."""
    rest = len(cast("Sequence[object]", content.document["tokens"])) - 1 - cast("int", fields["ctx_idx"])
    usual: Fields = {"token_prob": 0.0, "is_target_logit": False, "run_idx": 0, "reverse_ctx_idx": rest}
    return {"node_id": node, "jsNodeId": node} | usual | fields


def _token(content: GraphContent, edge: GraphEdge) -> Fields:
    """A token in the residual stream before a layer; before the first it is an embedding."""
    layer, position = _place(edge.source)
    index, text = _vocabulary(content, position)
    if layer == 0:
        return _fields("E", index, position, "embedding", f'Emb: "{text}"')
    return _fields(str(layer), None, position, "residual stream", f'"{text}" before layer {layer}')


def _component(content: GraphContent, edge: GraphEdge) -> Fields:
    """A head or a feed-forward block at the position of the prediction, or its embedding."""
    position, number = _position(content), _number(content, edge)
    if edge.kind is EdgeKind.RESIDUAL:
        return _token(content, edge)
    what = "attention head" if edge.head is not None else "feed-forward"
    return _fields(
        str(edge.layer), number, position, what, edge.name if edge.head is None else f"head {edge.name}"
    )


def _logit(content: GraphContent) -> Fields:
    facts, layers = content.graph.facts, _size(content, "layers")
    target = cast("Mapping[str, str]", content.document["target"])
    probability = cast("float", facts["probability"])
    label = f'Output "{_label(target["text"])}" (p={probability:.3f})'
    fields = _fields(str(layers), cast("int", target["id"]), _position(content), "logit", label)
    return fields | {"token_prob": probability, "is_target_logit": True}


def _fields(layer: str, feature: int | None, position: int, what: str, label: str) -> Fields:
    return {"feature": feature, "layer": layer, "ctx_idx": position, "feature_type": what, "clerp": label}


def _token_id(content: GraphContent, edge: GraphEdge) -> str:
    layer, position = _place(edge.source)
    return (
        _id("E", _vocabulary(content, position)[0], position) if layer == 0 else f"{layer}_stream_{position}"
    )


def _component_id(content: GraphContent, edge: GraphEdge) -> str:
    if edge.kind is EdgeKind.RESIDUAL:
        return _token_id(content, edge)
    return _id(cast("int", edge.layer), _number(content, edge), _position(content))


def _logit_id(content: GraphContent) -> str:
    target = cast("Mapping[str, int]", content.document["target"])
    return _id(_size(content, "layers"), target["id"], _position(content))


def _id(layer: int | str, feature: int, position: int) -> str:
    return f"{layer}_{feature}_{position}"


def _number(content: GraphContent, edge: GraphEdge) -> int:
    """The number of a head in its layer; of the feed-forward block the one after the last head."""
    return _size(content, "heads") if edge.head is None else edge.head


def _of_heads(content: GraphContent) -> Iterator[tuple[int, int]]:
    for edge in content.graph.edges:
        if edge.layer is not None and edge.head is not None:
            yield edge.layer, edge.head


def _effects(content: GraphContent) -> dict[tuple[int, int], float]:
    """The direct effect of every head, with the looks that are not kept."""
    direct = cast("Mapping[str, Sequence[Mapping[str, float]]]", content.document["direct"])
    return {(int(each["layer"]), int(each["head"])): each["effect"] for each in direct["heads"]}


def _vocabulary(content: GraphContent, position: int) -> tuple[int, str]:
    token = cast("Sequence[Mapping[str, object]]", content.document["tokens"])[position]
    return cast("int", token["id"]), _label(cast("str", token["text"]))


def _label(text: str) -> str:
    """The text as the viewer can show it, whose tooltips are HTML."""
    return printable(text).translate(_NO_MARKUP)


def _position(content: GraphContent) -> int:
    return cast("int", content.graph.facts["position"])


def _size(content: GraphContent, what: str) -> int:
    return cast("Mapping[str, int]", content.document["model"])[what]


def _place(node: str) -> tuple[int, int]:
    layer, position = node.split(".")
    return int(layer), int(position)
