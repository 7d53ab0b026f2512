"""A search on a Ray cluster: two machines, one of which dies, and the same result; and clusters that cannot."""

import importlib.util
import os
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from codesign.errors import UserError
from codesign.search import ray_workers
from codesign.search.evaluate import evaluate
from codesign.search.problem import Problem
from codesign.search.ray_workers import RayWorkers
from codesign.search.run import search
from codesign.search.workers import require
from tests.unit.search_problem import Formula, problem

ROOT = Path(__file__).resolve().parents[2]
HAS_RAY = importlib.util.find_spec("ray") is not None


def test_what_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for told in (lambda: RayWorkers(problem(), "ray://127.0.0.1:10001"), lambda: require("ray://127.0.0.1:10001")):
        with pytest.raises(UserError, match=r"need Ray; install codesign\[ray\]"):
            told()


@pytest.fixture
def kept(monkeypatch):
    monkeypatch.setattr(ray_workers, "_KEPT", found := {})
    return found


class Heard(Formula):
    """Says which of several alike was asked."""

    def accuracy(self, assignment):
        heard.append(self)
        return super().accuracy(assignment)


heard: list[Heard] = []


def test_a_process_keeps_the_problem_that_it_evaluates(kept):
    heard.clear()
    first, again, other = (
        Problem(made.space, made.constraint, Heard(made.space, made.evaluator.seed))
        for made in (problem(), problem(), problem(seed=1))
    )
    for each in (first, again, other):
        found = ray_workers._answer(each, each.digest(), None, each.space.uniform(2, 2))
        assert found == evaluate(problem(seed=each.evaluator.seed), each.space.uniform(2, 2))
    assert [each is first.evaluator for each in heard] == [True, True, False]
    assert heard[2] is other.evaluator
    assert list(kept) == [other.digest()]


def test_another_version_on_the_cluster_is_told(kept, monkeypatch):
    monkeypatch.setattr(ray_workers, "_version", lambda: "0.1.0")
    made = problem()
    found = ray_workers._answer(made, made.digest(), "0.2.0", made.space.uniform(2, 2))
    assert found == ("user", "a machine of the Ray cluster has codesign 0.1.0, not 0.2.0; install 0.2.0 on all.")
    assert not kept


def test_a_machine_that_evaluates_in_another_way_is_told(kept):
    made = problem()
    kind, told = ray_workers._answer(problem(seed=1), made.digest(), None, made.space.uniform(2, 2))
    assert kind == "user"
    assert "computes in another precision" in told
    assert not kept


class _Ray(types.ModuleType):
    """In the place of Ray: evaluates here, after it has raised so many errors."""

    def __init__(self, errors=(), refused=None):
        super().__init__("ray")
        self.exceptions = types.SimpleNamespace()
        self.exceptions.RayError = type("RayError", (Exception,), {})
        for name in ("WorkerCrashedError", "NodeDiedError", "ObjectLostError", "OutOfMemoryError", "RayTaskError"):
            setattr(self.exceptions, name, type(name, (self.exceptions.RayError,), {}))
        self.errors, self.refused, self.left = list(errors), refused, False

    def init(self, **settings):
        pass

    def put(self, value):
        if self.refused:
            raise self.refused
        return value

    def remote(self, **settings):
        return lambda function: types.SimpleNamespace(remote=lambda *given: lambda: function(*given))

    def wait(self, pending, num_returns):
        return pending[:num_returns], pending[num_returns:]

    def get(self, reference):
        if self.errors:
            name, text = self.errors.pop(0)
            raise getattr(self.exceptions, name)(text)
        return reference()

    def shutdown(self):
        self.left = True


def with_ray(monkeypatch, ray):
    monkeypatch.setitem(sys.modules, "ray", ray)
    return RayWorkers(problem(), "ray://somewhere:10001")


def test_what_a_death_took_is_evaluated_again(kept, monkeypatch):
    made = problem()
    asked = [made.space.uniform(bits, 2) for bits in (1, 2, 3)]
    expected = dict(enumerate(evaluate(made, one) for one in asked))
    deaths = [("NodeDiedError", ""), ("OutOfMemoryError", ""), ("ObjectLostError", ""), ("WorkerCrashedError", "")]
    assert dict(with_ray(monkeypatch, _Ray(deaths)).run(asked)) == expected
    with pytest.raises(UserError, match=r"die at the same candidate again and again \(3 times\)"):
        list(with_ray(monkeypatch, _Ray([("OutOfMemoryError", "")] * 3)).run(asked[:1]))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            ("RayTaskError", "Traceback:\n  File x\nModuleNotFoundError: No module named 'codesign'"),
            r"cannot evaluate candidates \(ModuleNotFoundError: No module named 'codesign'\); install codesign ",
        ),
        (("RayError", "the head is gone."), r"the Ray cluster failed \(the head is gone\); start it, and this, again"),
    ],
)
def test_a_cluster_that_cannot_evaluate_is_told_in_a_sentence(kept, monkeypatch, error, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        list(with_ray(monkeypatch, _Ray([error])).run([problem().space.uniform(2, 2)]))
    assert "\n" not in str(raised.value)


def test_a_cluster_that_cannot_read_the_problem_is_left(monkeypatch):
    ray = _Ray(refused=ModuleNotFoundError("No module named 'codesign'"))
    with pytest.raises(UserError, match=r"cannot evaluate candidates \(No module named 'codesign'\); install codesign"):
        with_ray(monkeypatch, ray)
    assert ray.left


@dataclass(frozen=True)
class Noted(Formula):
    """Notes on which node each evaluation ran, and in which process it had to load; takes a while."""

    folder: str = ""

    def accuracy(self, assignment):
        import time
        import uuid

        import ray

        node = ray.get_runtime_context().get_node_id()
        if "loaded" not in vars(self):
            vars(self)["loaded"] = True
            (Path(self.folder) / f"loaded.{os.getpid()}.{uuid.uuid4()}").touch()
        (Path(self.folder) / f"{node}-{assignment.digest()}").touch()
        time.sleep(0.3)
        return super().accuracy(assignment)

    def __reduce__(self):
        """Send the settings, not what was loaded."""
        return type(self), (self.space, self.seed, self.coupling, self.spread, self.folder)


CLUSTER = """
import sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster

cluster = Cluster()
cluster.add_node(num_cpus=0, ray_client_server_port=int(sys.argv[1]))
workers = [cluster.add_node(num_cpus=1) for _ in range(2)]
cluster.wait_for_nodes()
folder = Path(sys.argv[2])
(folder / "up").touch()
ended = threading.Thread(target=sys.stdin.read)
ended.start()
while ended.is_alive():
    if len({path.name.split("-")[0] for path in folder.glob("*-*") if "." not in path.name}) == 2:
        cluster.remove_node(workers[0], allow_graceful=False)
        (folder / "one").write_text(workers[0].node_id)
        ended.join()
    time.sleep(0.05)
cluster.shutdown()
"""

ELSEWHERE = """
from dataclasses import dataclass
from tests.unit.search_problem import Formula

@dataclass(frozen=True)
class Elsewhere(Formula):
    pass
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a cluster, and a folder: once two machines have left notes in it, one of them dies."""
    import socket
    import time

    folder = tmp_path_factory.mktemp("cluster")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}

    def answers() -> bool:
        with socket.socket() as found:
            return found.connect_ex(("127.0.0.1", port)) == 0

    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, str(port), str(folder)], stdin=subprocess.PIPE, cwd=ROOT, env=environment
    )
    try:
        end = time.monotonic() + 180
        # Its client server begins in a process of its own, after the machines.
        while not ((folder / "up").exists() and answers()):
            assert process.poll() is None, "the cluster did not start"
            assert time.monotonic() < end, "the cluster did not start in time"
            time.sleep(0.2)
        yield f"ray://127.0.0.1:{port}", folder
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed (codesign[ray])")
def test_what_the_cluster_does_not_have_is_told(cluster, tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    monkeypatch.syspath_prepend(tmp_path)
    made = problem()
    evaluator = importlib.import_module("elsewhere").Elsewhere(made.space)
    with pytest.raises(UserError, match=r"cannot evaluate candidates \(.*No module named 'elsewhere'.*\); install"):
        search(Problem(made.space, made.constraint, evaluator), "random", evaluations=2, workers=cluster[0])


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed (codesign[ray])")
def test_a_machine_that_dies_changes_nothing_and_each_process_loads_once(cluster):
    address, folder = cluster
    made = problem(coupling=0.4)
    noted = Problem(made.space, made.constraint, Noted(made.space, 0, 0.4, folder=str(folder)))
    found = search(noted, "evolution", evaluations=24, workers=address)
    assert (folder / "one").exists(), "no machine died"
    alone = search(made, "evolution", evaluations=24)
    assert msgspec.json.encode(found.evaluations) == msgspec.json.encode(alone.evaluations)
    assert len({path.name.split("-")[0] for path in folder.glob("*-*") if "." not in path.name}) == 2
    loaded = [path.name.split(".")[1] for path in folder.glob("loaded.*")]
    assert len(set(loaded)) == len(loaded) < 24
