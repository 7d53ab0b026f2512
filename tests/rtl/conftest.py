"""What the tests of the SystemVerilog library share."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import pytest

from codesign.toolchain import verilator

sys.path.insert(0, str(Path(__file__).parent))

from streams import Bench, Part


@pytest.fixture(scope="session")
def parts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    """Compile the CASES of all test files that run, in one program: what costs most is the same for all of them."""
    if verilator.locate() is None:
        pytest.skip("Verilator is missing; it comes with the extra rtl")
    # Tests elsewhere may have a fixture of this name that is another one.
    here = Path(__file__).parent
    items = [each for each in request.session.items if isinstance(each, pytest.Function) and here in each.path.parents]
    tests = {item.module.__name__: item.module for item in items if "parts" in item.fixturenames}
    cases = {name: list(tests[name].CASES) for name in sorted(tests)}
    base = tmp_path_factory.getbasetemp()
    # The processes of a test run share it.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "rtl"
    bench = Bench([case for each in cases.values() for case in each], folder)
    firsts = dict(zip(cases, itertools.accumulate([0, *map(len, cases.values())]), strict=False))
    return {name: Part(bench, firsts[name], each) for name, each in cases.items()}


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest, parts: dict[str, Part]) -> Part:
    """The CASES of this test file."""
    return parts[request.module.__name__]
