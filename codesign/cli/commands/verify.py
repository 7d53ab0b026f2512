"""`codesign verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import Work, difference
from codesign.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from codesign.backends.rtl import RtlProject


@make(name="verify", short_help="Compare a model's hardware with the golden executor, integer by integer.")
@options.model
@click.option(
    "--backend",
    type=click.Choice(["csim", "rtl", "netlist", "float64", "qonnx", "finn", "hls4ml-stock"]),
    default="csim",
    show_default=True,
    help="The C simulation of the hls4ml project, the RTL in Verilator, the netlist that Yosys makes of it, the model "
    "in float64 with its frozen constants, the QONNX file in the qonnx executor, FINN's hardware layers in Python, or "
    "what hls4ml's own converter makes of a QKeras model.",
)
@options.vectors(200)
@options.seed
@options.board
@options.io_type
@options.folding
@click.option("--wave", is_flag=True, help="Write a waveform of the first frames too (rtl only).")
def command(
    console: Console, model: str, backend: str, vectors: int, seed: int, board: str, wave: bool, **chosen: Any
) -> int:
    """Send the same vectors through the golden executor and another one and compare every integer.

    Half of the vectors are test images, half are random, the extremes among them. On a difference the first
    differing operator and element are named and the exit code is 1. In RTL and in netlists both ends of the network
    pause at random; then frames follow each other without pauses, and a frame must take the cycles promised, and one
    whose words come evenly the latency promised. Of a netlist, of FINN and of hls4ml's own converter only the output
    is compared, as the edges inside are gone.
    """
    from codesign import ir, report

    kind: Literal["csim", "rtl", "netlist", "float64", "qonnx", "finn", "hls4ml-stock"] = backend  # type: ignore[assignment]
    owner = {"csim": "hls4ml", "rtl": "rtl", "netlist": "rtl", "qonnx": "qonnx", "finn": "finn"}.get(backend)
    chosen = options.given(owner, chosen, board)
    if wave and backend != "rtl":
        raise UserError("--wave is written by the RTL simulation alone; add --backend rtl, or leave it out.")
    work = Work.on(model, board, console)
    if backend == "rtl":
        data = _rtl(work, vectors, seed, wave, chosen)
    elif backend == "netlist":
        data = _netlist(work, vectors, seed, chosen)
    elif owner is not None:
        data = _compiled(work, owner, vectors, seed, chosen)
    else:
        data = _float64(work, vectors, seed) if backend == "float64" else _stock(work, vectors, seed)
    check = report.Check(
        name=data.pop("name"),
        kind=kind,
        done=True,
        vectors=data["vectors"],
        tensors=data["tensors"],
        differences=data["differences"],
        first_difference=data["first_difference"],
        how=data.pop("how"),
    )
    report.note(work.folder, ir.digest(work.graph), check)
    found, more = data.pop("found"), data.pop("more", [])
    told = "all equal." if not data["differences"] else f"{data['differences']:,} differ, first {found}."
    sentence = f"{data['integers']:,} integers on {data['tensors']} edges, {data['vectors']} vectors: {told}"
    console.result({"model": work.model.name, "backend": backend, "seed": seed, **data}, sentence, *more)
    return 1 if data["differences"] or data.get("cycles_differ") else 0


def _compiled(work: Work, backend: str, vectors: int, seed: int, chosen: dict[str, Any]) -> dict[str, Any]:
    project = work.compiled(backend, **chosen)
    frames, words = work.frames(vectors, seed)
    result = work.verify(project, frames)
    return {
        "name": f"{project.simulation} against the golden executor",
        "how": words,
        "found": result.first_difference,
        **({"io_type": chosen.get("io_type", "io_stream")} if backend == "hls4ml" else {}),
        "differences": result.differences,
        "vectors": result.vectors,
        "tensors": result.tensors,
        "integers": result.integers,
        "first_difference": difference(result),
    }


def _rtl(work: Work, vectors: int, seed: int, wave: bool, chosen: dict[str, Any]) -> dict[str, Any]:
    from codesign.backends.rtl import RtlProject

    project = work.compiled("rtl", **chosen)
    if not isinstance(project, RtlProject):  # pragma: no cover
        raise TypeError(type(project))
    frames, words = work.frames(vectors, seed)
    data = _clocked(work, project, frames, words, seed)
    if wave:
        with work.console.progress("Writing a waveform"):
            data["more"].append(f"The waveform is in {project.write_wave(frames[:2])}.")
    return data


def _netlist(work: Work, vectors: int, seed: int, chosen: dict[str, Any]) -> dict[str, Any]:
    from codesign.backends.rtl import RtlProject, cells
    from codesign.backends.rtl.netlist import Netlist

    project = work.emit("rtl", **chosen)
    if not isinstance(project, RtlProject):  # pragma: no cover
        raise TypeError(type(project))
    netlist = Netlist.of(project)
    with work.console.progress("Synthesising the network"):
        mapped = netlist.mapped
    with work.console.progress(f"Compiling the {netlist.simulation.kind}"):
        netlist.compile()
    frames, words = work.frames(vectors, seed)
    data = _clocked(work, netlist, frames, words, seed)
    kinds = ", ".join(f"{number:,} {cell}" for cell, number in mapped.cells.items())
    data["more"].append(f"{sum(mapped.cells.values()):,} {cells.words(netlist.family)}: {kinds}.")
    return {**data, "family": netlist.family, "cells": mapped.cells, "netlist": mapped.path}


def _clocked(work: Work, project: RtlProject, frames: np.ndarray, words: str, seed: int) -> dict[str, Any]:
    """Compare with pauses at both ends, then count cycles without any."""
    result = work.verify(project.pausing(seed), frames)
    with work.console.progress("Counting the cycles of a frame"):
        cycles = project.count_cycles(frames)
    return {
        "name": f"{project.simulation} against the golden executor",
        "how": f"{words}, random pauses at both ends; {cycles.sentence}",
        "found": result.first_difference,
        "more": [cycles.sentence],
        "cycles_per_frame": cycles.promised,
        "cycles_simulated": cycles.simulated,
        "latency_cycles": cycles.latency,
        "latency_simulated": cycles.latency_simulated,
        "cycles_differ": not cycles,
        "differences": result.differences,
        "vectors": result.vectors,
        "tensors": result.tensors,
        "integers": result.integers,
        "first_difference": difference(result),
    }


def _float64(work: Work, vectors: int, seed: int) -> dict[str, Any]:
    from codesign.verify.float64 import verify_float64

    work.model.require_integers()
    frames, words = work.frames(vectors, seed)
    with work.console.progress(f"Comparing {len(frames)} vectors with the model in float64", len(frames)) as advance:
        result = verify_float64(work.model, frames, advance)
    return {
        "name": "Golden executor against the model in float64 with its frozen constants",
        "how": words,
        "found": result.first_difference,
        "differences": result.differences,
        "vectors": result.vectors,
        "tensors": result.tensors,
        "integers": result.integers,
        "first_difference": difference(result),
    }


def _stock(work: Work, vectors: int, seed: int) -> dict[str, Any]:
    from codesign.verify.hls4ml_stock import verify_stock

    frames, words = work.frames(vectors, seed)
    with work.console.progress("Converting, compiling and simulating with hls4ml's own converter"):
        result = verify_stock(work.model, frames, work.folder / "hls4ml_stock")
    return {
        "name": "C simulation of hls4ml's own conversion against the golden executor",
        "how": words,
        "found": result.first_difference,
        "differences": result.differences,
        "vectors": result.vectors,
        "tensors": result.tensors,
        "integers": result.integers,
        "first_difference": difference(result),
    }
