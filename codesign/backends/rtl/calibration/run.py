"""Measuring random designs, one after the other or two at a time, and fitting the model to all that was measured."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from codesign.backends.rtl import synthesis
from codesign.backends.rtl.calibration import designs, mappers, measure, records
from codesign.backends.rtl.calibration.mappers import Mapper
from codesign.backends.rtl.calibration.records import Record
from codesign.backends.rtl.serial_shell import TOP as SHELL
from codesign.errors import UserError
from codesign.estimate import fitting
from codesign.estimate.model import FAMILIES, FITS, Fit
from codesign.estimate.technology import KNOWN
from codesign.files import atomic_write, require_writable
from codesign.toolchain.yosys import Yosys

WHOLE = 4
"""Of so many designs one is measured node by node, and the others block by block."""


def data_file(family: str) -> Path:
    """Return the file of measurements of a fit's family."""
    return records.DATA / f"{family}.jsonl"


def fit_file(family: str) -> Path:
    """Return the file of a fit."""
    return FITS / f"{family}.json"


def mapper(name: str) -> Mapper:
    """Return how designs for a fit's family are mapped.

    Raises
    ------
    UserError
        When it is none.
    """
    board = next((board for board, fit in FAMILIES.items() if fit == name), None)
    if board is None:
        known = ", ".join(sorted(set(FAMILIES.values())))
        raise UserError(f"nothing is measured for a family {name}; there is {known}.")
    return mappers.of_board_family(board)


def measure_design(yosys: Yosys, name: str, seed: int, node: bool | None = None, large: bool = False) -> list[Record]:
    """Return what a random design takes.

    Parameters
    ----------
    yosys : Yosys
    name : str
        Of the fit's family.
    seed : int
    node : bool, optional
        Node by node, or block by block; by the seed unless given, see `WHOLE`.
    large : bool
        See `designs.draw`.
    """
    whole = seed % WHOLE == 0 if node is None else node
    technology, own = KNOWN[name], mapper(name)
    design = designs.draw(seed, large, technology)
    layout = design.layout()
    with tempfile.TemporaryDirectory(prefix="codesign-calibrate-") as folder:
        take = measure.nodes if whole else measure.blocks
        counts = take(yosys, own, design, layout, Path(folder))
    if whole and technology.serial:
        with tempfile.TemporaryDirectory(prefix="codesign-calibrate-") as folder:
            counts[SHELL] = measure.shell(yosys, own, layout, Path(folder))
    return records.records(seed, yosys.version, counts, whole, large, name)


def measure_all(
    yosys: Yosys,
    name: str,
    seeds: Sequence[int],
    data: Path,
    say: Callable[[str], None],
    jobs: int = synthesis.JOBS,
    node: bool | None = None,
    large: bool = False,
) -> None:
    """Measure the designs that the file does not have yet, and add each to it when it is done.

    Parameters
    ----------
    yosys : Yosys
    name : str
        Of the fit's family.
    seeds : sequence of int
    data : Path
    say : callable
        Told a line for every design.
    jobs : int
        Runs of Yosys at a time.
    node : bool, optional
    large : bool
        See `measure_design`.
    """
    # Unknown families are told before anything is measured.
    mapper(name)
    known = records.read(data)
    records.require(known, name)
    done = {(record.design, record.large) for record in known}
    waiting = [seed for seed in seeds if (seed, large) not in done]
    require_writable(data.parent)

    def one(seed: int) -> list[Record]:
        return measure_design(yosys, name, seed, node, large)

    with ThreadPoolExecutor(jobs) as pool:
        pending = [pool.submit(one, seed) for seed in waiting]
        try:
            for number, (seed, found) in enumerate(zip(waiting, pending, strict=True), 1):
                lines = found.result()
                records.append(data, lines)
                luts = sum(line.lut for line in lines)
                say(f"design {seed}: {len(lines)} parts, {luts:,} LUT ({number} of {len(waiting)})")
        except BaseException:
            for each in pending:
                each.cancel()
            raise


def fit(name: str, data: Path) -> Fit:
    """Return the model of all that a file says.

    Raises
    ------
    UserError
        When the file has nothing, or its designs come out otherwise than when they were measured.
    """
    lines = records.read(data)
    if not lines:
        raise UserError(f"{data} has no measurements; give --designs.")
    tools = sorted({line.tool for line in lines})
    return fitting.fit(list(records.measured(lines, name)), name, "; ".join(tools))


def require_fit(path: Path) -> None:
    """Raise `UserError` when there is a file that is no fit, such as one of measurements."""
    if not path.exists():
        return
    try:
        # Nothing is read from a device or pipe.
        content = path.read_bytes() if path.is_file() else b"no fit"
        if content:
            msgspec.json.decode(content, type=Fit)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is there and holds no fit; choose another --out, or remove it.") from error


def write(found: Fit, path: Path) -> None:
    """Write a fit, whole or not at all."""
    atomic_write(path, msgspec.json.format(msgspec.json.encode(found), indent=1).decode() + "\n")
