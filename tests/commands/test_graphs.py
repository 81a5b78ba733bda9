"""Graphs of `attn effects`: what is in them, who reads them, and what is refused."""

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

import jsonschema
import networkx as nx
import numpy as np
import pytest

from attn_cli.answers.effects import KeptShare
from attn_cli.answers.graph import AttentionGraph, EdgeKind, EdgeMeasure, GraphEdge, GraphNode
from attn_cli.reading.graph import keeping
from attn_cli.reading.graph import weights as weights_graph
from attn_cli.show.graph.content import GraphContent
from attn_cli.show.graph.dot import as_dot
from attn_cli.show.graph.graphml import as_graphml
from attn_cli.show.graph.node_link import as_node_link
from attn_cli.vocabulary import Kind
from tests.support.every_type import save_twin
from tests.support.hostile import HOSTILE
from tests.support.language_models import MASKED, NEXT, TARGETED
from tests.support.twins import minilm
from tests.support.worlds import attn, refused

STORY = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"
DOT = shutil.which("dot")


def graph_of(directory: Path, *words: str | Path, text: str = STORY) -> nx.MultiDiGraph:
    """The graph that networkx reads from a GraphML file."""
    path = directory / "graph.graphml"
    answer = attn("effects", text, "-o", path, "--force", *words)
    assert (answer.status, answer.out) == (0, ""), answer.err
    return nx.read_graphml(path, force_multigraph=True)


def edges_of(graph: nx.MultiDiGraph, *kinds: str) -> list[tuple[str, str, dict[str, Any]]]:
    return [edge for edge in graph.edges(data=True) if edge[2]["kind"] in kinds]


def test_a_whole_graph_of_effects_adds_up_to_the_logit(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "--keep", "1")
    facts = graph.graph
    assert len(edges_of(graph, "head", "self")) == facts["kept_edges"] == facts["head_edges"] == 4 * 8 * 19
    assert {target for _, target, _ in graph.edges} == {"prediction"}
    total = sum(data["weight"] for *_, data in graph.edges(data=True))
    assert total + facts["bias"] + facts["constant"] + facts["mean"] == pytest.approx(
        facts["sum"], abs=1e-4
    )  # float32
    assert facts["sum"] == pytest.approx(facts["logit"], abs=1e-4)
    assert graph.nodes["prediction"] == {"label": "Th", "text": " Th"}


def test_edges_of_effects_are_those_of_the_answer(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "--keep", "0.5")
    document = attn("effects", STORY, "--json", "--edges", str(graph.graph["kept_edges"])).document
    found = {
        (data["layer"], data["head"], int(source.split(".")[1])): (data["alpha"], data["weight"])
        for source, _, data in edges_of(graph, "head", "self")
    }
    expected = {
        (edge["layer"], edge["head"], edge["key"]): (edge["weight"], edge["effect"])
        for edge in document["edges"]
    }
    assert set(found) == set(expected)
    np.testing.assert_allclose([found[edge] for edge in expected], [*expected.values()], atol=1e-9)
    (residual,) = edges_of(graph, "residual")
    assert (residual[0], residual[2]["weight"]) == ("0.18", pytest.approx(document["direct"]["embedding"]))
    blocks = [data["weight"] for *_, data in edges_of(graph, "feed-forward")]
    assert blocks == pytest.approx([each["effect"] for each in document["direct"]["feed_forward"]])


def test_a_look_at_its_own_token_is_an_edge_of_its_own_kind(tmp_path: Path) -> None:
    for measure in ("effects", "weights", "norms"):
        graph = graph_of(tmp_path, "--keep", "1", "--graph", measure)
        for source, target, data in edges_of(graph, "self", "head"):
            query = 18 if target == "prediction" else graph.nodes[target]["position"]
            assert (graph.nodes[source]["position"] == query) == (data["kind"] == "self")


@pytest.mark.parametrize("measure", ["weights", "norms"])
def test_a_whole_graph_of_weights_or_norms_is_every_matrix(tmp_path: Path, measure: str) -> None:
    graph = graph_of(tmp_path, "--keep", "1", "--graph", measure, text="the cat sat on the mat")
    attention = attn("inspect", "the cat sat on the mat", "-l", "all", "-s", measure, "--json").document
    for head in attention["attention"]:
        matrix = np.zeros((len(head["queries"]), len(head["keys"])))
        for source, target, data in edges_of(graph, "head", "self"):
            if (data["layer"], data["head"]) == (head["layer"], head["head"]):
                (below, key), (above, query) = (map(int, end.split(".")) for end in (source, target))
                assert (below, above) == (head["layer"], head["layer"] + 1)
                matrix[query, key] = data["weight"]
        np.testing.assert_allclose(matrix, head["steps"][measure], atol=1e-7)
    residual = [(source, target) for source, target, _ in edges_of(graph, "residual")]
    tokens = len(attention["tokens"])
    last = tokens - 1
    stream = [(f"{layer}.{at}", f"{layer + 1}.{at}") for layer in range(4) for at in range(tokens)]
    assert residual == [*stream, (f"4.{last}", "prediction")]
    passed_on = {data.get("weight") for *_, data in edges_of(graph, "residual")}
    assert passed_on == ({1.0} if measure == "weights" else {None})


def test_a_long_text_is_read_in_blocks_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = graph_of(tmp_path, "--keep", "1", "--graph", "norms")
    monkeypatch.setattr(weights_graph, "LARGEST", 8 * 19 * 5)  # five rows of the heads of a layer
    blocks = graph_of(tmp_path, "--keep", "1", "--graph", "norms")
    ours, theirs = (
        {
            (source, target, data["head"]): data["weight"]
            for source, target, data in edges_of(graph, "head", "self")
        }
        for graph in (blocks, whole)
    )
    assert ours == pytest.approx(theirs, rel=1e-4)  # float32


def test_an_edge_of_norms_has_its_weight_beside_it(tmp_path: Path) -> None:
    norms, weights = (
        {
            (source, target, data["head"]): data
            for source, target, data in edges_of(
                graph_of(tmp_path, "--keep", "1", "--graph", measure), "head"
            )
        }
        for measure in ("norms", "weights")
    )
    assert len(norms) == len(weights)
    assert all(data["alpha"] == weights[edge]["weight"] for edge, data in norms.items())


@pytest.mark.slow
def test_norms_that_are_not_known_have_no_graph(tmp_path: Path) -> None:
    save_twin("mpt", tmp_path)  # read through transformers
    line = ("effects", "the cat sat", "-m", tmp_path, "-o", tmp_path / "graph.dot", "--graph")
    status, problem, hint = refused(attn(*line, "norms"))
    assert (status, hint) == (1, "--graph weights")
    assert problem.startswith(f"{tmp_path.name} has no norms in layer 0: ")
    assert attn(*line, "weights").status == 0


@pytest.mark.parametrize("measure", ["effects", "weights", "norms"])
def test_the_share_that_is_kept_is_stated_and_is_the_smallest(tmp_path: Path, measure: str) -> None:
    whole = graph_of(tmp_path, "--keep", "1", "--graph", measure)
    every = sorted((abs(data["weight"]) for *_, data in edges_of(whole, "head", "self")), reverse=True)
    graph = graph_of(tmp_path, "--keep", "0.7", "--graph", measure)
    kept = sorted((abs(data["weight"]) for *_, data in edges_of(graph, "head", "self")), reverse=True)
    facts = graph.graph
    assert kept == pytest.approx(every[: len(kept)])
    assert sum(kept[:-1]) < 0.7 * sum(every) <= sum(kept) * (1 + 1e-9)
    assert (facts["keep"], facts["measure"], facts["kept_edges"]) == (0.7, measure, len(kept))
    assert facts["kept_share"] == pytest.approx(sum(kept) / sum(every))
    assert facts["head_edges"] == len(every)
    err = attn("effects", STORY, "-o", tmp_path / "b.dot", "--keep", "0.7", "--graph", measure).err
    numbers = "absolute effects" if measure == "effects" else measure
    share = f"{facts['kept_share']:.3f} of the sum of their {numbers}"
    assert f"the graph keeps {len(kept):,} of {len(every):,} edges of heads: {share}" in err


def test_a_share_that_is_not_the_whole_is_not_rounded_to_it(tmp_path: Path) -> None:
    dot = tmp_path / "a.dot"
    found = attn("effects", STORY, "-o", dot, "--keep", "0.99999")
    kept, every = map(int, re.findall(r"(\d+) of (\d+) edges", found.err)[0])
    assert kept < every
    assert "edges of heads: more than 0.999 of the sum of their absolute effects" in found.err
    assert f"{kept} of {every} edges of heads hold more than 0.999" in dot.read_text()
    assert ": 1.000 of the sum" in attn("effects", STORY, "-o", tmp_path / "b.dot", "--keep", "1").err


def test_chosen_heads_are_those_of_the_graph_and_of_its_whole(tmp_path: Path) -> None:
    for measure in ("effects", "weights"):
        graph = graph_of(tmp_path, "--heads", "2.6,0.2", "--keep", "1", "--graph", measure)
        heads = {(data["layer"], data["head"]) for *_, data in edges_of(graph, "head", "self")}
        assert heads == {(2, 6), (0, 2)}
        assert graph.graph["head_edges"] == len(edges_of(graph, "head", "self"))


def test_heads_that_meet_a_condition_are_those_of_the_graph(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "--where", "direct>1", "--keep", "1")
    heads = {(data["layer"], data["head"]) for *_, data in edges_of(graph, "head", "self")}
    assert heads == {(2, 6), (2, 7)}
    assert graph.graph["head_edges"] == 2 * 19
    empty = attn("effects", STORY, "--where", "direct>100", "-o", tmp_path / "empty.dot")
    assert empty.status == 0
    assert "the graph has no edges of heads" in empty.err.splitlines()


def test_the_default_is_nine_tenths_of_the_effects(tmp_path: Path) -> None:
    facts = graph_of(tmp_path).graph
    assert (facts["measure"], facts["keep"]) == ("effects", 0.9)
    assert 0.9 <= facts["kept_share"] < 0.91


def test_against_another_token_the_graph_is_of_the_difference(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, "--against", " went", "--keep", "1")
    assert graph.graph["against"] == " went"
    total = sum(data["weight"] for *_, data in graph.edges(data=True))
    facts = graph.graph
    assert total + facts["bias"] + facts["constant"] == pytest.approx(facts["sum"], abs=1e-4)  # float32


def test_node_link_json_is_the_same_graph(tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    assert attn("effects", STORY, "-o", path, "--schema", "node-link").status == 0
    read = nx.node_link_graph(json.loads(path.read_text()), edges="edges")
    other = graph_of(tmp_path)
    assert isinstance(read, nx.MultiDiGraph)
    assert dict(read.nodes(data=True)) == dict(other.nodes(data=True))
    ours, theirs = (list(graph.edges(data=True)) for graph in (read, other))
    assert sorted(ours, key=str) == sorted(theirs, key=str)
    assert read.graph.items() <= other.graph.items()
    keys = [(source, target, key) for source, target, key in read.edges(keys=True)]
    assert len(set(keys)) == len(keys) == len(ours)


def test_without_a_schema_a_json_file_is_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "answer.json"
    assert attn("effects", STORY, "-o", path, "-o", tmp_path / "graph.dot").status == 0
    assert "direct" in json.loads(path.read_text())


_NEURONPEDIA = {
    "type": "object",
    "required": ["metadata", "qParams", "nodes", "links"],
    "properties": {
        "metadata": {
            "type": "object",
            "required": ["slug", "scan", "prompt_tokens", "prompt"],
            "properties": {
                **{name: {"type": "string"} for name in ("slug", "scan", "prompt")},
                "prompt_tokens": {"type": "array", "items": {"type": "string"}},
                "info": {
                    "type": "object",
                    "properties": {
                        "description": {"type": "string"},
                        "generator": {
                            "type": "object",
                            "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
                        },
                    },
                },
                "pruning_settings": {"type": "object", "properties": {"edge_threshold": {"type": "number"}}},
            },
        },
        "qParams": {
            "type": "object",
            "properties": {
                "pinnedIds": {"type": "array", "items": {"type": "string"}},
                "supernodes": {"type": "array"},
                **{name: {"type": "string"} for name in ("linkType", "clickedId", "sg_pos")},
            },
        },
        "nodes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["node_id", "feature", "layer", "ctx_idx", "feature_type", "jsNodeId", "clerp"],
                "properties": {
                    **{name: {"type": "string"} for name in ("node_id", "feature_type", "jsNodeId", "clerp")},
                    "feature": {"type": ["integer", "null"]},
                    "layer": {"type": ["string", "integer"]},
                    "ctx_idx": {"type": "integer"},
                },
            },
        },
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["source", "target", "weight"],
                "properties": {
                    "source": {"type": "string"},
                    "target": {"type": "string"},
                    "weight": {"type": "number"},
                },
            },
        },
    },
}
"""What `apps/webapp/app/api/graph/graph-schema.json` in hijohnnylin/neuronpedia requires of these fields."""


def neuronpedia(directory: Path, *words: str) -> dict[str, Any]:
    path = directory / "graph.json"
    assert attn("effects", STORY, "-o", path, "--schema", "neuronpedia", "--force", *words).status == 0
    found: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(found, _NEURONPEDIA)
    return found


def test_neuronpedia_reads_heads_between_tokens_and_the_logit(tmp_path: Path) -> None:
    found = neuronpedia(tmp_path)
    nodes = {node["node_id"]: node for node in found["nodes"]}
    assert len(nodes) == len(found["nodes"])
    ends = {end for link in found["links"] for end in (link["source"], link["target"])}
    assert ends == set(nodes)
    pairs = [(link["source"], link["target"]) for link in found["links"]]
    assert len(set(pairs)) == len(pairs)
    (logit,) = (node for node in found["nodes"] if node["feature_type"] == "logit")
    assert (logit["layer"], logit["ctx_idx"], logit["is_target_logit"]) == ("4", 18, True)
    assert re.fullmatch(r'Output " Th" \(p=0\.663\)', logit["clerp"])  # the viewer reads both from it
    kinds = {node["feature_type"] for node in found["nodes"]}
    assert kinds == {"embedding", "residual stream", "attention head", "feed-forward", "logit"}
    triples = [(node["layer"], node["feature"], node["ctx_idx"]) for node in found["nodes"]]
    assert len(set(triples)) == len(triples)  # the viewer tells nodes apart by these


def test_before_a_soft_cap_the_edges_add_up(tmp_path: Path) -> None:
    NEXT["gemma2, a low cap"].save(tmp_path)
    graph = graph_of(tmp_path, "-m", tmp_path, "--keep", "1", text="the cat sat on the mat")
    facts = graph.graph
    total = sum(data["weight"] for *_, data in graph.edges(data=True))
    assert total + facts["bias"] + facts["constant"] + facts["mean"] == pytest.approx(facts["sum"], abs=1e-4)
    assert facts["softcap"] * np.tanh(facts["sum"] / facts["softcap"]) == pytest.approx(
        facts["logit"], abs=1e-4
    )


def test_in_neuronpedias_graph_what_enters_a_head_is_what_leaves_it(tmp_path: Path) -> None:
    found = neuronpedia(tmp_path, "--keep", "1")
    heads = [node["node_id"] for node in found["nodes"] if node["feature_type"] == "attention head"]
    assert len(heads) == 32
    for head in heads:
        entering = sum(link["weight"] for link in found["links"] if link["target"] == head)
        (leaving,) = (link["weight"] for link in found["links"] if link["source"] == head)
        assert entering == pytest.approx(leaving, abs=1e-5)  # float32


def test_a_head_has_its_whole_effect_however_few_looks_are_kept(tmp_path: Path) -> None:
    links = {
        (link["source"], link["target"]): link["weight"]
        for link in neuronpedia(tmp_path, "--keep", "0.3")["links"]
    }
    direct = attn("effects", STORY, "--json").document["direct"]["heads"]
    expected = {(head["layer"], head["head"]): head["effect"] for head in direct}
    (logit,) = {target for source, target in links if source == "2_7_18"}
    assert links["2_7_18", logit] == pytest.approx(expected[2, 7])


def test_labels_in_neuronpedias_graph_are_no_markup(tmp_path: Path) -> None:
    found = neuronpedia(tmp_path, "--keep", "1")
    assert found["metadata"]["prompt_tokens"][0] == "<s>"
    labels = {node["clerp"] for node in found["nodes"]}
    assert '"\u2039s\u203a" before layer 3' in labels
    assert not any(sign in each for each in labels for sign in "<>&")


def test_tokens_of_an_encoder_and_a_decoder_are_nodes_of_two_sides(tmp_path: Path) -> None:
    TARGETED["t5"].save(tmp_path)
    line = ("--target", "the mat was", "-m", tmp_path, "--keep", "1")
    effects = graph_of(tmp_path, *line, text="the cat sat")
    sides = {
        data["attention"]: effects.nodes[source]["side"] for source, _, data in edges_of(effects, "head")
    }
    assert sides == {"decoder": "decoder", "cross": "encoder"}
    total = sum(data["weight"] for *_, data in effects.edges(data=True))
    facts = effects.graph
    assert total + facts["bias"] + facts["constant"] + facts["mean"] == pytest.approx(
        facts["logit"], abs=1e-3
    )
    weights = graph_of(tmp_path, *line, "--graph", "weights", text="the cat sat")
    cross = [edge for edge in edges_of(weights, "head", "self") if edge[2]["attention"] == "cross"]
    assert {data["kind"] for *_, data in cross} == {"head"}  # no token of the other text is the query's own
    assert {
        (weights.nodes[source]["side"], weights.nodes[target]["side"]) for source, target, _ in cross
    } == {("encoder", "decoder")}
    assert "prediction" in weights
    assert all(re.fullmatch(r"[\w.-]+", node) for node in (*effects, *weights))  # as names in XML are
    encoder = graph_of(
        tmp_path, "-m", tmp_path, "--graph", "weights", "--kind", "encoder", text="the cat sat"
    )
    assert {data["attention"] for *_, data in edges_of(encoder, "head", "self")} == {"encoder"}
    assert "prediction" not in encoder


def test_an_encoder_has_a_graph_of_weights_and_no_prediction(tmp_path: Path) -> None:
    path = tmp_path / "graph.graphml"
    answer = attn("effects", "the cat sat", "-m", minilm(), "--graph", "weights", "-o", path)
    assert answer.status == 0
    assert "the graph has no prediction: " in answer.err
    graph = nx.read_graphml(path)
    assert "prediction" not in graph
    assert nx.get_node_attributes(graph, "layer")["6.0"] == 6


def test_a_masked_model_has_a_graph_of_weights_with_what_it_predicts(tmp_path: Path) -> None:
    MASKED["bert"].save(tmp_path)
    line = ("the cat [MASK] on the mat", "-m", tmp_path, "-o", tmp_path / "graph.graphml")
    status, problem, hint = refused(attn("effects", *line))
    assert status == 1
    assert problem.startswith("what the components of bert write does not add up to its logits")
    assert hint == "--graph weights, which needs no sum"
    assert refused(attn("effects", *line, "--ablate", "zero"))[1:] == (problem, hint)
    assert attn("effects", *line, "--graph", "weights").status == 0
    graph = nx.read_graphml(tmp_path / "graph.graphml")
    (source,) = graph.predecessors("prediction")
    assert graph.nodes[source]["position"] == graph.graph["position"]


def test_a_text_of_one_token_has_a_graph(tmp_path: Path) -> None:
    for measure in ("effects", "weights", "norms"):
        graph = graph_of(tmp_path, "--no-special", "--graph", measure, "--keep", "1", text="a")
        assert len(edges_of(graph, "self")) == 32
        assert not edges_of(graph, "head")


def hostile_graph() -> GraphContent:
    """A graph whose tokens are texts that mean something to XML, Graphviz or a terminal."""
    texts = [
        *HOSTILE,
        '"',
        "\\",
        "\\N",
        "]]>",
        "&lt;",
        "<b>",
        "a\nb",
        "\ud800",
        "\ufffe",
        "[x]; }",
        '\\"',
        "",
    ]
    nodes = [GraphNode(f"0.{place}", text, 0, place) for place, text in enumerate(texts)]
    edges = [GraphEdge(node.id, "prediction", EdgeKind.HEAD, -0.5, 0, 1, Kind.SELF, 0.25) for node in nodes]
    graph = AttentionGraph(
        EdgeMeasure.EFFECTS,
        KeptShare(0.9, 0.9, len(edges), len(edges)),
        [*nodes, GraphNode("prediction", "\x1b[31m")],
        edges,
        {"against": "\x00<&>\ud800"},
    )
    return GraphContent(graph, {"attn": "0", "model": {"name": "<m&>\x07"}, "text": "\x00\ud800]]>"})


def test_hostile_tokens_are_text_in_graphml() -> None:
    content = hostile_graph()
    written = as_graphml(content)
    expat.ParserCreate().Parse(written, True)  # not an error: well-formed
    graph = nx.read_graphml(io.BytesIO(written), force_multigraph=True)
    assert list(graph.nodes) == [node.id for node in content.graph.nodes]
    texts = nx.get_node_attributes(graph, "text")
    named = {node.text: texts[node.id] for node in content.graph.nodes}
    assert (named["<b>"], named["&lt;"], named["]]>"], named["\ud800"]) == ("<b>", "&lt;", "]]>", "\\ud800")
    assert graph.number_of_edges() == len(content.graph.edges)


def test_hostile_tokens_are_text_in_node_link_json() -> None:
    content = hostile_graph()
    graph = nx.node_link_graph(json.loads(as_node_link(content)), edges="edges")
    assert [data["text"] for _, data in graph.nodes(data=True)] == [node.text for node in content.graph.nodes]


def test_hostile_tokens_are_quoted_in_dot() -> None:
    written = as_dot(hostile_graph()).decode()
    assert not set(written) & set("\x00\x07\x1b")
    assert r'label="\\N\n' in written
    assert r'label="&amp;lt;\n' in written
    assert r'label="\\\"\n' in written
    assert r'label="<b>\n' in written


@pytest.mark.graphviz
def test_graphviz_draws_hostile_tokens_as_they_are(tmp_path: Path) -> None:
    assert DOT is not None
    content = hostile_graph()
    path = tmp_path / "graph.dot"
    path.write_bytes(as_dot(content))
    done = subprocess.run([DOT, "-Tsvg", path], capture_output=True, check=True)
    drawn = list(ET.fromstring(done.stdout).iter())  # noqa: S314  our own file
    texts = {each.text for each in drawn if each.tag.endswith("}text")}
    assert {'"', "\\", "\\N", "]]>", "&lt;", "<b>", "[x]; }", '\\"', "a⏎b"} <= texts
    count = sum(each.tag.endswith("}g") for each in drawn)
    assert count == 1 + len(content.graph.nodes) + len(content.graph.edges)


def test_too_many_pairs_are_refused_before_the_layers_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_graph, "_MOST_PAIRS", 4 * 8 * 16)
    line = ("effects", "--no-special", "--graph", "weights", "-o", tmp_path / "graph.dot")
    status, problem, hint = refused(attn(*line, "the cat sat on the"))
    assert status == 1
    assert problem == ("a graph of the weights of 32 heads has 800 pairs of a query and a key: at most 512")
    assert hint == "a shorter text, or fewer heads: --heads"
    assert attn(*line, "the cat sat on").status == 0


def test_the_limits_are_those_that_the_page_names() -> None:
    page = (Path(__file__).parents[2] / "docs" / "effects.md").read_text("utf-8")
    assert f"at most {keeping._MOST_KEPT:,} edges" in page  # noqa: SLF001  the number itself
    assert f"at most {weights_graph._MOST_PAIRS:,} pairs" in page  # noqa: SLF001
    assert weights_graph._MOST_PAIRS == 1 << 24  # noqa: SLF001


_GRAPH = "-o graph.graphml or graph.dot, or --schema node-link -o graph.json"
_NO_GRAPH = "applies only to a graph, and no file holds one"


@pytest.mark.parametrize(
    ("words", "problem", "hint"),
    [
        (
            "-o x.gexf",
            "this command writes no '.gexf' file: x.gexf",
            "a name that ends in .png, .svg, .pdf, .json, .npz, .csv, .graphml or .dot",
        ),
        ("-o x.dot --keep 0", "--keep is a share above 0 and up to 1, not 0", "--keep 0.9"),
        ("-o x.dot --keep 1.5", "--keep is a share above 0 and up to 1, not 1.5", "--keep 0.9"),
        ("-o x.dot --keep -1", "--keep is a share above 0 and up to 1, not -1", "--keep 0.9"),
        ("-o x.dot --keep nan", "--keep is a share above 0 and up to 1, not nan", "--keep 0.9"),
        ("-o x.dot --keep inf", "--keep is a share above 0 and up to 1, not inf", "--keep 0.9"),
        ("-o x.dot --keep most", "--keep takes a number, not 'most'", "--keep 0.9"),
        ("--keep 0.5", f"--keep {_NO_GRAPH}", _GRAPH),
        ("-o x.json --keep 0.5", f"--keep {_NO_GRAPH}", _GRAPH),
        ("--graph weights", f"--graph {_NO_GRAPH}", _GRAPH),
        (
            "-o x.dot --schema node-link",
            "--schema applies only to a .json file",
            "-o graph.json, or leave it out",
        ),
        (
            "-o x.json --schema d3",
            "--schema cannot be 'd3': it must be one of node-link, neuronpedia",
            "attn effects --help",
        ),
        (
            "-o x.json --schema neuronpedia --graph weights",
            "the schema of neuronpedia holds effects on a prediction, not weights",
            "--schema node-link, or leave out --graph",
        ),
        (
            "-o x.dot --graph weights --edges 3",
            "--edges does not apply to --graph weights",
            "leave --edges out",
        ),
        (
            "-o x.dot --graph words",
            "--graph cannot be 'words': it must be one of effects, weights, norms",
            "attn effects --help",
        ),
        (
            "-o x.dot -o x.csv --graph weights --where direct>1",
            "--where does not apply to --graph weights",
            "leave --where out",
        ),
        (
            "-o x.dot --graph norms --against x",
            "--against does not apply to --graph norms",
            "leave --against out",
        ),
        (
            "-o x.dot --graph weights --ablate zero",
            "--ablate does not apply to --graph weights",
            "leave --ablate out",
        ),
        (
            "-o x.dot --graph weights --position 99",
            "position 99 does not exist: the text has 19 tokens, numbered 0 to 18",
            "--position 18",
        ),
        (
            "-o x.dot --kind encoder",
            "storybook has no encoder attention: it has self",
            "--kind self",
        ),
    ],
)
def test_what_makes_no_graph_is_refused(
    words: str, problem: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(attn("effects", STORY, *words.split())) == (2, problem, hint)
    assert list(tmp_path.iterdir()) == []


def test_neuronpedias_schema_has_one_text(tmp_path: Path) -> None:
    TARGETED["t5"].save(tmp_path)
    path = tmp_path / "graph.json"
    found = refused(
        attn("effects", "the cat", "--target", "a", "-m", tmp_path, "--schema", "neuronpedia", "-o", path)
    )
    problem = "the schema of neuronpedia has the tokens of one text, and the model reads two"
    assert found == (2, problem, "--schema node-link")
    assert not path.exists()


def test_an_existing_graph_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "graph.graphml"
    path.write_text("mine")
    assert refused(attn("effects", STORY, "-o", path))[0] == 1
    assert path.read_text() == "mine"
