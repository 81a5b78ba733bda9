"""Workers on a Ray cluster: the same bytes, also if a node is lost."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attn_cli.errors import AttnError
from attn_cli.models.source import SourceRequest
from attn_cli.survey.records import SurveyRequest
from attn_cli.survey.running.cluster import RayCluster
from tests.survey.running.test_running import REQUEST, Here, begun, documents, fingerprint, surveyed

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own, of its processes and sockets
]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes with a core each, as processes of this machine."""
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    found = None
    while found is None:
        found = started()
    yield found
    found.shutdown()


def started() -> Any:
    """A cluster; None if this machine was too busy: Ray waits 30 s for a node, whatever its settings."""
    from ray.cluster_utils import Cluster

    found: Any = Cluster()
    try:
        found.add_node(num_cpus=1, include_dashboard=False)
        found.worker = found.add_node(num_cpus=1)
    except Exception as error:
        found.shutdown()
        if "timed out" not in str(error):
            raise
        return None
    return found


@pytest.mark.parametrize("chosen", [REQUEST, replace(REQUEST, effects=True)], ids=["heads", "effects"])
def test_a_cluster_finds_the_same_bytes_though_a_node_is_lost(
    chosen: SurveyRequest, cluster: Any, tmp_path: Path
) -> None:
    texts = list(documents(400))
    here = Here(request=chosen)
    alone = fingerprint(surveyed(here, begun(tmp_path / "alone"), texts, chosen))
    checkpoint = begun(tmp_path / "partial")

    def given() -> Iterator[Any]:
        for line, text in enumerate(texts):
            if line == 300:  # some batches were given out
                cluster.remove_node(cluster.worker, allow_graceful=False)
            yield text

    workers = RayCluster(cluster.address, None, 0, chosen, dict(os.environ))
    assert fingerprint(surveyed(workers, checkpoint, given(), chosen)) == alone


def test_a_model_that_a_node_does_not_have_is_named(cluster: Any, tmp_path: Path) -> None:
    missing = SurveyRequest(SourceRequest(str(tmp_path / "nothing")))
    workers = RayCluster(cluster.address, 1, 0, missing, dict(os.environ))
    with pytest.raises(AttnError, match="nothing"):
        surveyed(workers, begun(tmp_path / "partial"))


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    workers = RayCluster("127.0.0.1:1", 1, 0, REQUEST, dict(os.environ))
    with pytest.raises(AttnError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        surveyed(workers, begun(tmp_path / "partial"))
