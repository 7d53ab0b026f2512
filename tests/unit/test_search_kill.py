"""kill -9 at any moment: the search goes on and ends in the result of the undisturbed one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.unit.search_kill import searched

ROOT = Path(__file__).resolve().parents[2]


def start(folder, strategy, evaluations, seconds, workers):
    command = [sys.executable, "-m", "tests.unit.search_kill", str(folder), strategy]
    return subprocess.Popen(
        [*command, str(evaluations), str(seconds), workers], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def lines(folder):
    """Whole lines of the journals in a folder, the header among them."""
    # A file whose name begins with a dot is being written, and gone a moment later.
    return sum(path.read_bytes().count(b"\n") for path in Path(folder).glob("[!.]*.jsonl"))


def kill_and_continue(folder, strategy, evaluations, moments, seconds, workers):
    """Kill a search a while after each of these numbers of lines, let it end, and return its result."""
    for after, delay in moments:
        process = start(folder, strategy, evaluations, seconds, workers)
        try:
            end = time.monotonic() + 600
            while lines(folder) < after and process.poll() is None:
                assert time.monotonic() < end, "the search does not get on"
                time.sleep(0.005)
            time.sleep(delay)
            assert process.poll() is None, "the search was over before it could be killed"
        finally:
            process.kill()
            process.wait()
    process = start(folder, strategy, evaluations, 0.0, workers)
    assert process.wait(600) == 0
    return (Path(folder) / "result").read_bytes()


def test_two_kills_change_nothing(tmp_path):
    expected = searched(None, "evolution", 24)
    moments = [(3, 0.01), (9, 0.02)]
    assert kill_and_continue(tmp_path, "evolution", 24, moments, 0.05, "2") == expected
    assert lines(tmp_path) <= 25


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random", "evolution", "bomp", "haq", "autoqb"])
def test_ten_kills_at_random_moments_change_nothing(tmp_path, strategy):
    generator = np.random.default_rng()
    seed = int(generator.integers(1 << 30))
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    expected = searched(None, strategy, 40)
    # The journal grows from kill to kill; the last of them comes well before the end.
    moments = [(int(n), float(generator.uniform(0, 0.1))) for n in np.sort(generator.integers(0, 30, 10))]
    workers = str(generator.integers(1, 3))
    assert kill_and_continue(tmp_path, strategy, 40, moments, 0.1, workers) == expected
