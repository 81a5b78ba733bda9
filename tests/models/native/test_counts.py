"""Numbers in config.json are claims: they are checked before anything is built from them."""

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.files.config import MOST_LAYERS, Config, NotNativeError
from attn_cli.models.native.families import native_spec
from attn_cli.models.native.spec import Spec
from tests.support.families import FAMILIES, TRANSLATORS
from tests.support.twins import RECIPES
from tests.support.worlds import attn, refused

CONFIGS = {name: recipe.config for name, recipe in {**RECIPES, **FAMILIES, **TRANSLATORS}.items()}
LAYERS = (
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers"),
    *("num_decoder_layers", "inner_group_num", "num_hidden_groups", "attention_types", "layer_types"),
)
CLAIMS: tuple[Any, ...] = (
    10**9,
    2**63 - 1,
    10**30,
    1e308,
    float("nan"),
    -1,
    0,
    "x",
    [10**9],
    [[["global"], 10**9]],
    {},
    True,
)


def spec(name: str, **changes: Any) -> Spec | None:
    values = json.loads(json.dumps(CONFIGS[name].to_dict()))
    return native_spec(Config({**values, **changes}, Path("config.json")))


@pytest.fixture
def bart(tmp_path: Path) -> Path:
    TRANSLATORS["bart"].save(tmp_path)
    return tmp_path


def changed(directory: Path, **changes: Any) -> Path:
    """The checkpoint with other values in its config."""
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return directory


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("key", LAYERS)
def test_no_number_of_layers_takes_time_or_memory(name: str, key: str) -> None:
    spec(name)  # imports the family
    tracemalloc.start()
    began = time.monotonic()
    for claim in CLAIMS:
        try:
            found = spec(name, **{key: claim})
        except AttnError:
            continue
        assert found is None or found.layers <= MOST_LAYERS
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()
    assert time.monotonic() - began < 5


def test_layers_are_at_most_ten_thousand() -> None:
    assert spec("bert", num_hidden_layers=10_000).layers == 10_000  # type: ignore[union-attr]
    with pytest.raises(AttnError) as caught:
        spec("bert", num_hidden_layers=10_001)
    assert caught.value.problem == (
        "config.json says num_hidden_layers is 10001, which is not 10,000 or fewer"
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"num_hidden_layers": 1_001}, "num_hidden_layers is 1001, which is not 1,000 or fewer"),
        ({"inner_group_num": 334}, "inner_group_num is 334, which is not 333 or fewer"),
    ],
)
def test_layers_that_share_weights_are_at_most_a_thousand(changes: dict[str, int], problem: str) -> None:
    with pytest.raises(AttnError) as caught:
        spec("albert", **changes)
    assert caught.value.problem == f"config.json says {problem}"
    assert spec("albert", num_hidden_layers=1_000).layers == 1_000  # type: ignore[union-attr]
    assert spec("albert", inner_group_num=333).layers == 999  # type: ignore[union-attr]


def test_more_layers_of_the_decoder_than_the_file_has_are_refused(bart: Path) -> None:
    answer = attn("inspect", "the cat", "-m", changed(bart, decoder_layers=9_999), "--target", "the mat")
    problem = f"the tensor decoder.layers.9998.self_attn.out_proj.weight is missing from {bart}"
    hint = "check that config.json and the weights belong to the same model"
    assert refused(answer) == (1, problem, hint)


@pytest.mark.parametrize("start", [300, 2**32, 2**63 - 1])
def test_a_start_token_outside_of_the_vocabulary_is_refused(bart: Path, start: int) -> None:
    directory = changed(bart, decoder_start_token_id=start)
    answer = attn("inspect", "the cat", "-m", directory, "--target", "the mat", "--kind", "decoder")
    problem = f"{bart} has decoder_start_token_id {start}, but the vocabulary has 300"
    assert refused(answer) == (1, problem, "download the model again, or repair config.json")


@pytest.mark.parametrize("farthest", [1, 2, 4])
def test_distances_of_deberta_that_the_buckets_exceed_are_left_to_transformers(farthest: int) -> None:
    name = "deberta-v2"  # of six buckets, three hold one distance each
    with pytest.raises(NotNativeError):
        spec(name, max_relative_positions=farthest)
    assert spec(name, max_relative_positions=5) is not None
