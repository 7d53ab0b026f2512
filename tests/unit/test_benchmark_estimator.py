"""The table of how far estimates are off: that of the measurements beside it, by the fit that is committed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from codesign import estimate
from codesign.backends.rtl.calibration import records, run

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "estimator"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("estimator_bench", HERE / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAMILIES = pytest.mark.parametrize(
    ("family", "board", "results"),
    [
        ("xc7", "zynq-7000", "results.json"),
        ("ecp5", "ecp5", "results_ecp5.json"),
        ("ice40", "ice40", "results_ice40.json"),
        ("gowin", "gowin", "results_gowin.json"),
    ],
)


@pytest.mark.parametrize("family", ["xc7", "ecp5", "ice40", "gowin"])
def test_networks_of_the_table_are_not_those_of_the_fit(bench: ModuleType, family: str):
    drawn = {(line.design, line.large) for line in records.read(bench.MEASURED[family])}
    assert len(drawn) >= 12
    assert not drawn & {(line.design, line.large) for line in records.read(run.data_file(family))}


@FAMILIES
def test_the_table_is_that_of_the_measurements_by_the_fit(bench: ModuleType, family: str, board: str, results: str):
    found: dict[str, Any] = bench.accuracy(records.read(bench.MEASURED[family]), estimate.load(board))
    told = json.loads((HERE / results).read_text())
    assert bench.table(found) in (HERE / "README.md").read_text()
    assert ("speed" in told) == (family == "xc7")
    told.pop("speed", None)
    assert bench.table(told) == bench.table(found)
    assert told.keys() == found.keys()
