"""`attn effects --rollout --flow`: numbers, files, warnings, and what is refused."""

import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import networkx as nx
import numpy as np
import pytest

from attn_cli.analysis.flow import flow
from attn_cli.analysis.mixing import mixed
from attn_cli.reading.mixing import answer as mixing_answer
from attn_cli.show import data
from tests.support.every_type import TYPES, save_twin
from tests.support.language_models import MASKED, TARGETED
from tests.support.sinks import Sinks
from tests.support.twins import minilm
from tests.support.worlds import attn, attn_in_terminal, refused

STORY = "Tom Thumb went to sea, and Tom Thumb went home again, and Tom"
ALONE = "rollout and flow know weights alone: not what values carry, nor what feed-forward blocks add"


def answer(*arguments: str | Path) -> dict[str, Any]:
    found = attn("effects", *arguments, "--json")
    assert found.status == 0, found.err
    jsonschema.validate(found.document, json.loads(data.schema()))
    mixing: dict[str, Any] = found.document["mixing"]
    return mixing


def mean_weights(*arguments: str | Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(L, T, T) of all heads, as `attn inspect` gives them."""
    found = attn("inspect", *arguments, "-l", "all", "-s", "weights", "--json").document["attention"]
    layers: dict[int, list[Any]] = {}
    for head in found:
        layers.setdefault(head["layer"], []).append(head["steps"]["weights"])
    return np.array([np.mean(layers[layer], axis=0) for layer in sorted(layers)])


def unseen(_done: int, _total: int) -> None:
    pass


def by_loop(weights: np.ndarray[Any, np.dtype[np.float64]], position: int) -> list[list[float]]:
    """The rollout after each layer, written out."""
    tokens, rows = weights.shape[1], []
    before = [[float(query == key) for key in range(tokens)] for query in range(tokens)]
    for layer in weights:
        before = [
            [
                0.5 * before[query][token]
                + 0.5 * sum(layer[query, key] * before[key][token] for key in range(tokens))
                for token in range(tokens)
            ]
            for query in range(tokens)
        ]
        rows.append(before[position])
    return rows


def test_rollout_and_flow_are_those_of_the_weights() -> None:
    found, weights = answer(STORY, "--rollout", "--flow"), mean_weights(STORY)
    assert (found["kind"], found["position"]) == ("self", 18)
    np.testing.assert_allclose(found["rollout"], by_loop(weights, 18), atol=1e-6)
    np.testing.assert_allclose(
        found["flow"], flow([mixed(layer) for layer in weights], 18, unseen), atol=1e-6
    )


def test_a_long_text_is_read_in_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = answer(STORY, "--rollout")["rollout"]
    monkeypatch.setattr(mixing_answer, "LARGEST", 8 * 19 * 5)  # five rows of the heads of a layer
    np.testing.assert_allclose(answer(STORY, "--rollout")["rollout"], whole, atol=1e-6)  # float32


def test_what_is_not_asked_for_is_not_there() -> None:
    assert set(answer(STORY, "--rollout")) == {"kind", "position", "rollout"}
    assert set(answer(STORY, "--flow")) == {"kind", "position", "flow"}


def test_a_word_names_the_position_and_later_tokens_have_no_part_in_it() -> None:
    found = answer(STORY, "--rollout", "--flow", "--position", "sea")
    assert found["position"] == 7
    assert all(share == 0 for share in (*found["rollout"][-1][8:], *found["flow"][8:]))
    np.testing.assert_allclose(np.sum(found["rollout"], axis=-1), 1, atol=1e-6)


def test_the_table_has_the_largest_shares_first() -> None:
    found = attn_in_terminal("effects", STORY, "--rollout", "--flow", "--top", "3")
    assert re.findall(r'^("\S+" \(\d+\)) +(\S+) +(\S+)$', found.out, re.MULTILINE) == [
        ('"<s>" (0)', "0.57", "1.00"),
        ('"Tom" (18)', "0.12", "0.51"),
        ('"Th" (11)', "0.04", "0.41"),
    ]
    assert 'rollout and flow from "Tom" (18) through 4 layers to' in found.out
    assert "listed 3 of 19 tokens; --top 0 lists all" in found.err


def test_the_share_on_the_first_token_is_said_of_a_causal_model() -> None:
    for words in ((), ("--json",)):
        err = " ".join(attn("effects", STORY, "--rollout", "--flow", *words).err.split())
        first = '0.573 of the rollout of "Tom" (18) is on "<s>" (0); in a causal model each layer moves more'
        assert f"{first} of it to the first tokens, whatever the text says" in err
        flow_of_first = 'flow to "<s>" (0) is more than 0.999: in a causal model more paths lead to a token'
        assert f"{flow_of_first} the earlier it stands" in err
        assert ALONE in err


def test_an_encoder_is_asked_about_one_position() -> None:
    status, problem, hint = refused(attn("effects", "the cat sat", "-m", minilm(), "--rollout"))
    assert status == 2
    only = f"rollout and flow are of one position, and {minilm().name} has no last one"
    assert problem == f"{only}: every token attends to the whole text"
    assert hint == "--position 0, or a word"
    found = attn("effects", "the cat sat", "-m", minilm(), "--rollout", "--position", "cat")
    assert found.status == 0
    assert "in a causal model" not in found.err
    assert re.search(r'^0\.\d+ of the rollout of "cat" \(2\) is on "\S+" \(\d\)$', found.err, re.MULTILINE)


def test_a_causal_model_read_through_transformers_has_a_last_position(tmp_path: Path) -> None:
    save_twin("mpt", tmp_path)
    line = ("the cat sat on the mat", "-m", tmp_path)
    found, weights = answer(*line, "--rollout", "--flow"), mean_weights(*line)
    last = weights.shape[1] - 1
    assert found["position"] == last > 0
    np.testing.assert_allclose(found["rollout"], by_loop(weights, last), atol=1e-6)
    err = " ".join(attn("effects", *line, "--rollout", "--flow").err.split())
    assert "; in a causal model each layer moves more of it to the first tokens" in err
    assert "in a causal model more paths lead to a token the earlier it stands" in err


def test_a_masked_token_is_the_position_by_default(tmp_path: Path) -> None:
    MASKED["bert"].save(tmp_path)
    found = answer("the cat [MASK] on the mat", "-m", tmp_path, "--rollout", "--flow")
    weights = mean_weights("the cat [MASK] on the mat", "-m", tmp_path)
    tokens = attn("tokens", "the cat [MASK] on the mat", "-m", tmp_path, "--json").document["tokens"]
    assert tokens[found["position"]]["text"] == "[MASK]"
    np.testing.assert_allclose(found["rollout"], by_loop(weights, found["position"]), atol=1e-6)


def test_each_stack_of_an_encoder_decoder_model_has_its_own(tmp_path: Path) -> None:
    TARGETED["t5"].save(tmp_path)
    line = ("the cat sat", "--target", "the mat was", "-m", tmp_path)
    for kind, more in (("decoder", ()), ("encoder", ("--kind", "encoder", "--position", "1"))):
        found = answer(*line, "--rollout", *more)
        weights = mean_weights(*line, "--kind", kind)
        assert found["kind"] == kind
        np.testing.assert_allclose(found["rollout"], by_loop(weights, found["position"]), atol=1e-6)
    err = attn("effects", *line, "--rollout").err
    assert "they are of the decoder's self-attention alone" in err
    status, problem, hint = refused(attn("effects", *line, "--rollout", "--kind", "cross"))
    assert (status, hint) == (2, "--kind encoder or --kind decoder")
    assert problem == (
        "--kind cross is no stack: rollout, flow and graphs are of one, with its cross-attention"
    )


def test_what_learned_sinks_take_is_lost_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Sinks(np.array([1.0, -2.0]), None, np.array([0.5, 0.5]))
    monkeypatch.setattr("attn_cli.models.open.open_source", lambda *_, **__: source)
    found = attn("effects", "the cat sat on the mat", "--rollout", "--json")
    assert found.status == 0, found.err
    lost = 1 - sum(found.document["mixing"]["rollout"][-1])
    assert lost > 0.05
    assert f"learned sinks take {lost:.3f} of the rollout" in found.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "attending", "layers"),
    [("jamba", {1, 3}, {0, 1, 2, 3}), ("granitemoehybrid", {1}, {0, 1, 2})],
)
def test_a_hybrid_model_has_no_rollout_and_a_graph_of_the_layers_that_attend(
    kind: str, attending: set[int], layers: set[int], tmp_path: Path
) -> None:
    if kind not in TYPES:
        pytest.skip(f"this version of transformers has no type {kind}")
    save_twin(kind, tmp_path)
    line = ("effects", "the cat sat", "-m", tmp_path)
    status, problem, hint = refused(attn(*line, "--rollout"))
    assert (status, hint) == (1, "a model whose layers all have attention weights")
    assert problem == f"rollout and flow are not defined for {tmp_path.name}: its layer 0 has no attention"
    graph = tmp_path / "graph.graphml"
    assert attn(*line, "--graph", "weights", "--keep", "1", "-o", graph).status == 0
    edges = [edge for *_, edge in nx.read_graphml(graph, force_multigraph=True).edges(data=True)]
    assert {edge["layer"] for edge in edges if "head" in edge} == attending
    assert {edge["layer"] for edge in edges if edge["kind"] == "residual" and "layer" in edge} == layers
    assert refused(attn(*line, "--graph", "weights", "-l", "2", "-o", tmp_path / "b.dot"))[0] == 2


def test_a_text_of_one_token_is_its_own_rollout() -> None:
    found = attn("effects", "a", "--no-special", "--rollout", "--flow", "--json")
    assert found.document["mixing"]["rollout"] == [pytest.approx([1.0])] * 4
    assert found.document["mixing"]["flow"] == pytest.approx([1.0])
    assert found.err.strip() == ALONE


def test_the_first_token_of_a_causal_model_is_reached_by_itself_alone() -> None:
    found = attn("effects", STORY, "--rollout", "--flow", "--position", "0", "--json")
    assert found.document["mixing"]["rollout"][-1] == pytest.approx([1.0] + [0.0] * 18)
    assert found.err.strip() == ALONE


def test_files_have_a_line_for_each_token(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("a.json", "a.csv", "a.npz", "a.png", "a.svg")]
    outs = [word for name in names for word in ("-o", name)]
    assert attn("effects", STORY, "--rollout", "--flow", *outs).status == 0
    document = json.loads(names[0].read_text())
    jsonschema.validate(document, json.loads(data.schema()))
    mixing = document["mixing"]
    rows = list(csv.DictReader(io.StringIO(names[1].read_text())))
    assert [row["text"] for row in rows] == [token["text"] for token in document["tokens"]]
    assert [float(row["rollout"]) for row in rows] == pytest.approx(mixing["rollout"][-1])
    assert [float(row["flow"]) for row in rows] == pytest.approx(mixing["flow"])
    arrays = np.load(names[2])
    np.testing.assert_allclose(arrays["rollout"], mixing["rollout"])
    np.testing.assert_allclose(arrays["flow"], mixing["flow"])
    assert json.loads(str(arrays["meta"]))["position"] == 18
    assert "rollout" in names[4].read_text()


def test_rollout_needs_no_scipy_and_flow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    found = refused(attn("effects", STORY, "--flow", "-m", "nowhere"))  # before a model is looked for
    problem = "attention flow needs the package scipy, which is not installed"
    assert found == (1, problem, "pip install 'attn-cli[flow]'")
    assert attn("effects", STORY, "--rollout").status == 0


@pytest.mark.parametrize(
    ("words", "option", "by"),
    [
        ("--rollout --heads 2.6", "--heads", "--rollout"),
        ("--flow -l 2", "--layer", "--flow"),
        ("--rollout --ablate zero", "--ablate", "--rollout"),
        ("--rollout --token x", "--token", "--rollout"),
        ("--rollout --edges 3", "--edges", "--rollout"),
        ("--rollout -o x.dot", "-o x.dot", "--rollout"),
        ("--rollout -o x.json --schema node-link", "--schema", "--rollout"),
    ],
)
def test_options_of_effects_and_graphs_do_not_apply(
    words: str, option: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = (2, f"{option} does not apply to {by}", f"leave {option} out")
    assert refused(attn("effects", STORY, *words.split())) == expected
    assert list(tmp_path.iterdir()) == []


def test_a_position_that_is_none_is_refused() -> None:
    status, problem, _ = refused(attn("effects", STORY, "--rollout", "--position", "99"))
    assert (status, problem) == (2, "position 99 does not exist: the text has 19 tokens, numbered 0 to 18")
