"""The comparison with FINN's estimates: folds that both designs have, and tables that are those of the results."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("onnx", reason="needs onnx, of the extra qonnx")

from codesign.backends.finn import layout as finn_layout
from codesign.backends.rtl.layout import lay_out
from codesign.ir import Graph
from codesign.ir.ops import Conv2d, Dense

HERE = Path(__file__).resolve().parents[2] / "benchmarks" / "estimates_finn"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("estimates_bench", HERE / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("cycles", [300, 5_000])
def test_products_of_both_designs_take_the_same_clocks(bench: ModuleType, residual: Graph, cycles: int):
    ours, theirs = bench.common_folds(residual, cycles)
    units = lay_out(residual, cycles, ours).units
    layers = {
        each.node: each for each in finn_layout.lay_out(residual, cycles, {}, theirs).layers if "MVAU" in each.name
    }
    products = [node for node in residual if isinstance(node.op, Conv2d | Dense)]
    assert len(products) == len(layers) == 10
    for node in products:
        assert units[node.name].cycles == layers[node.name].cycles
        assert layers[node.name].fold == theirs[node.name]
        assert layers[node.name].cycles <= cycles or theirs[node.name]["PE"] == residual.edges[node.name].channels


def test_tables_are_those_of_the_results(bench: ModuleType):
    results = json.loads((HERE / "results.json").read_text())
    text = (HERE / "README.md").read_text()
    assert "\n".join(bench.tables(results)) in text
    assert list(results) == list(bench.CYCLES)
    for found in results.values():
        for side in ("ours", "finn"):
            assert found["cycles_per_frame"][side] >= max(entry["cycles"] for entry in found[side].values())
    totals = re.findall(r"^\| \*\*total\*\* .*$", text, re.MULTILINE)
    assert len(totals) == 4
