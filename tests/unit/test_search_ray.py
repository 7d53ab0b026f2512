"""A search on a Ray cluster: two machines, one of which dies, and the same result."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from codesign.errors import UserError
from codesign.search.problem import Problem
from codesign.search.ray_workers import RayWorkers
from codesign.search.run import search
from tests.unit.search_problem import Formula, problem

ROOT = Path(__file__).resolve().parents[2]
HAS_RAY = importlib.util.find_spec("ray") is not None


def test_what_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"need Ray; install codesign\[ray\]"):
        RayWorkers(problem(), "ray://127.0.0.1:10001")


@dataclass(frozen=True)
class Noted(Formula):
    """Notes on which node each evaluation ran, and takes a while."""

    folder: str = ""

    def accuracy(self, assignment):
        import time

        import ray

        node = ray.get_runtime_context().get_node_id()
        (Path(self.folder) / f"{node}-{assignment.digest()}").touch()
        time.sleep(0.3)
        return super().accuracy(assignment)


CLUSTER = """
import sys, time
from pathlib import Path
from ray.cluster_utils import Cluster

cluster = Cluster()
cluster.add_node(num_cpus=0, ray_client_server_port=int(sys.argv[1]))
workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
folder = Path(sys.argv[2])
(folder / "up").touch()
while len({path.name.split("-")[0] for path in folder.glob("*-*")}) < 2:
    time.sleep(0.05)
cluster.remove_node(workers[0], allow_graceful=False)
(folder / "one").write_text(workers[0].node_id)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed (codesign[ray])")
def test_a_machine_that_dies_changes_nothing(tmp_path):
    import socket
    import time

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(port), str(tmp_path)], stdin=subprocess.PIPE, cwd=ROOT, env=environment
    )
    try:
        end = time.monotonic() + 180
        while not (tmp_path / "up").exists():
            assert cluster.poll() is None, "the cluster did not start"
            assert time.monotonic() < end, "the cluster did not start in time"
            time.sleep(0.2)
        made = problem(coupling=0.4)
        noted = Problem(made.space, made.constraint, Noted(made.space, 0, 0.4, folder=str(tmp_path)))
        found = search(noted, "evolution", evaluations=24, workers=f"ray://127.0.0.1:{port}")
        assert (tmp_path / "one").exists(), "no machine died"
        alone = search(made, "evolution", evaluations=24)
        assert msgspec.json.encode(found.evaluations) == msgspec.json.encode(alone.evaluations)
        assert len({path.name.split("-")[0] for path in tmp_path.glob("*-*")}) == 2
    finally:
        assert cluster.stdin is not None
        cluster.stdin.close()
        cluster.wait(60)
