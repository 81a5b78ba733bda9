"""`attn compare`: distances and differences of heads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn_cli.analysis.distance import measure_distances
from attn_cli.vocabulary import Distance
from tests.support.worlds import attn

TEXT = "the cat sat on the mat"


def weights(model: Path, *places: str) -> list[Any]:
    """The float32 weights of heads, as shown by `inspect`."""
    found = attn("inspect", TEXT, "-m", model, "--heads", ",".join(places), "-s", "weights", "--json")
    return [np.array(entry["steps"]["weights"], dtype=np.float32) for entry in found.document["attention"]]


@pytest.mark.parametrize("kind", list(Distance))
def test_the_matrix_is_the_distance_of_the_weights_that_inspect_shows(kind: Distance, twin: Path) -> None:
    places = ("0.1", "2.3", "1.0")
    found = attn("compare", TEXT, "-m", twin, "--heads", ",".join(places), "-d", kind, "--json").document
    assert (found["distance"], found["items"]) == (kind, list(places))
    np.testing.assert_allclose(found["matrix"], measure_distances(weights(twin, *places), kind), atol=1e-12)


def test_the_difference_of_two_heads_is_the_first_minus_the_second(twin: Path) -> None:
    found = attn("compare", TEXT, "-m", twin, "--heads", "2.3,0.1", "--json").document
    first, second = weights(twin, "2.3", "0.1")
    assert found["items"] == ["2.3", "0.1"]
    np.testing.assert_array_equal(found["difference"], first.astype(np.float64) - second)


def test_the_order_of_heads_does_not_change_their_distances(twins: Path) -> None:
    one = attn("compare", TEXT, "-m", twins / "bert", "--heads", "0.1,0.2", "--json").document
    other = attn("compare", TEXT, "-m", twins / "bert", "--heads", "0.2,0.1", "--json").document
    assert one["matrix"] == other["matrix"]
    np.testing.assert_array_equal(one["difference"], -np.array(other["difference"]))


def test_two_heads_are_shown_side_by_side_where_there_is_room(twins: Path) -> None:
    out = attn("compare", TEXT, "-m", twins / "bert", "--heads", "0.1,2.3", COLUMNS="200").out
    titles = [line for line in out.splitlines() if "range" in line]
    assert titles[0].count("weights") == 2
    assert [title.partition(" · ")[0] for title in titles[1:]] == ["jensen-shannon", "weights 0.1 − 2.3"]


def test_of_many_heads_only_the_distances_are_printed(twins: Path) -> None:
    answer = attn("compare", TEXT, "-m", twins / "bert", "-l", "0,1")
    assert [line.split()[0] for line in answer.out.splitlines() if "range" in line] == ["jensen-shannon"]
    remark = "more than 4 heads: only distances are printed; -o FILE.png draws the weights too"
    exactly = "square root of the Jensen-Shannon divergence, logarithms to base 2"
    assert answer.err == f"{remark}\njensen-shannon: {exactly}; the mean over the rows, from 0 to 1\n"


def test_a_comparison_is_written_as_picture_and_as_data(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "a.svg", "a.json", "a.npz", "a.csv", "a.safetensors")]
    out = [argument for path in paths for argument in ("-o", path)]
    answer = attn("compare", TEXT, "-m", "random", "--heads", "0.1,0.2", *out)
    assert (answer.status, answer.out) == (0, "")
    assert sorted(answer.err.splitlines()) == sorted(f"wrote {path}" for path in paths)
    with np.load(paths[3]) as found:
        printed = attn("compare", TEXT, "-m", "random", "--heads", "0.1,0.2", "--json").document
        np.testing.assert_allclose(found["matrix"], printed["matrix"], atol=1e-12)
        np.testing.assert_allclose(found["difference"], printed["difference"], atol=1e-12)
    assert paths[4].read_text().splitlines()[0] == "item,self.0.1,self.0.2"
