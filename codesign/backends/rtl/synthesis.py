"""Synthesis by Yosys: operator by operator, then joined; cells counted as the data sheet of their family does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from codesign.backends.rtl import mapping, modules, stage
from codesign.backends.rtl.folder import read_map
from codesign.backends.rtl.verilog import TOP, unit_name
from codesign.errors import UserError
from codesign.toolchain.synth_report import SynthReport
from codesign.toolchain.yosys import Yosys

TIMEOUT_S = 6 * 3600.0
JOBS = 2
"""Runs of Yosys at a time: each takes a core and up to two GiB."""


@dataclass(frozen=True)
class Family:
    """How a family is synthesised and counted.

    Parameters
    ----------
    command : str
        Of Yosys.
    lut, ff, bram36, dsp, carry : mapping of str to float
        What a cell counts as; cells that count as nothing, such as multiplexers beside the LUTs, are in `free`.
    free : frozenset of str
    stage : str
        What reports call the synthesis.
    """

    command: str
    lut: Mapping[str, float]
    ff: Mapping[str, float]
    bram36: Mapping[str, float]
    dsp: Mapping[str, float]
    carry: Mapping[str, float]
    free: frozenset[str]
    stage: str = "logic synthesis"

    def count(self, cells: Mapping[str, int]) -> Counts:
        """Return what cells, a number for each kind, count as.

        Raises
        ------
        UserError
            When there is a kind that nobody counts.
        """
        kinds = (self.lut, self.ff, self.bram36, self.dsp, self.carry)
        require_counted(cells, self.free.union(*kinds))
        lut, ff, bram36, dsp, carry = (sum(each * cells.get(c, 0) for c, each in kind.items()) for kind in kinds)
        return Counts(int(lut), int(ff), bram36, int(dsp), int(carry))


@dataclass(frozen=True)
class Counts:
    """What a netlist takes.

    Parameters
    ----------
    lut, ff : int
    bram36 : float
        Block memories of 36 Kib; smaller ones by their share, halves of 18 Kib or ninths of 4 Kib.
    dsp, carry : int
        Multiplier blocks, carry cells.
    """

    lut: int
    ff: int
    bram36: float
    dsp: int
    carry: int


def require_counted(kinds: Iterable[str], known: Collection[str]) -> None:
    """Raise `UserError` when there is a kind of cell that nobody counts."""
    if other := set(kinds).difference(known):
        raise UserError(f"the netlist has cells that nobody counts: {', '.join(sorted(other))}.")


# UG474, 7 Series FPGAs Configurable Logic Block: the LUTs that a distributed memory or a shift register takes.
_XC7_MEMORY = {
    "RAM32X1S": 1,
    "RAM32X1D": 2,
    "RAM32M": 4,
    "RAM64X1S": 1,
    "RAM64X1D": 2,
    "RAM64M": 4,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "SRL16E": 1,
    "SRLC32E": 1,
}
_XC7 = Family(
    command="synth_xilinx -family xc7 -flatten -noiopad -noclkbuf",
    lut={"INV": 1, **{f"LUT{inputs}": 1 for inputs in range(1, 7)}, **_XC7_MEMORY},
    ff={"FDRE": 1, "FDSE": 1, "FDCE": 1, "FDPE": 1},
    bram36={"RAMB36E1": 1, "RAMB18E1": 0.5},
    dsp={"DSP48E1": 1},
    carry={"CARRY4": 1},
    free=frozenset({"MUXF7", "MUXF8"}),
)
FAMILIES = {
    "zynq-7000": _XC7,
    "artix-7": _XC7,
    "zynq-ultrascale+": replace(_XC7, stage="logic synthesis in 7-series cells"),
}
"""By the family of a board.

For UltraScale+ parts cells of 7 series are counted: lookup tables have six inputs in both, block memories 36 Kib, and
DSP48E2 does what DSP48E1 does (UG573, UG574, UG579). Of multiplications Yosys 0.70 packs registers and adders into
DSP48E1 alone, so that its UltraScale+ cells would count what both families have room for as logic.
"""


def family(name: str) -> Family:
    """Return how the family of a board is synthesised.

    Raises
    ------
    UserError
        When it is none that is counted.
    """
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UserError(
            f"Yosys' cells are not counted for {name} yet; choose a board of {known}, or --tool vivado-ooc."
        )
    return FAMILIES[name]


def sources(folder: Path) -> list[str]:
    """Return the names of the files in a project folder that are synthesised, without the test bench."""
    return sorted(path.name for path in folder.glob("*.sv") if path.stem not in ("bench", "stream_monitor"))


def content(folder: Path) -> list[str]:
    """Return the names of the files in a project folder on which a netlist depends."""
    return [*sources(folder), *(path.name for path in folder.glob("*.mem"))]


_MEMORY = re.compile(r'"(\w+\.mem)"')


def closure(folder: Path, top: str, without: Sequence[str] = ()) -> list[str]:
    """Return the names of all files that a module of a project folder is made of, memory files included.

    Parameters
    ----------
    folder : Path
    top : str
        The module; its file has its name.
    without : sequence of str
        Modules that are left out, with what only they need.
    """
    own = (folder / f"{top}.sv").read_text()
    known = {path.stem: path for path in map(folder.joinpath, sources(folder)) if path.stem not in without}
    texts = {**modules.needed(own, known), top: own}
    memories = {name for text in texts.values() for name in _MEMORY.findall(text)}
    return sorted([*(f"{name}.sv" for name in texts), *memories])


def map_cells(family: Family, dsp: bool, top: str) -> str:
    """Return what maps the cells of a module, with multiplier blocks or without."""
    return mapping.two_steps(f"{family.command}{'' if dsp else ' -nodsp'}", top, "map_memory")


@dataclass(frozen=True)
class Part:
    """What is synthesised by itself: the module of a node, or the top level without those.

    Parameters
    ----------
    module : str
    files : tuple of str
        What its netlist depends on.
    boxes : tuple of str
        Modules in it that stay empty.
    read : tuple of str
        Sources that Yosys must see beside `files`, for the ports of the empty modules.
    dsp : bool
        Multiplications may take multiplier blocks.
    """

    module: str
    files: tuple[str, ...]
    boxes: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    dsp: bool = True

    def script(self, family: Family, place: str) -> str:
        """Return what Yosys is to do; its results go to `place`."""
        boxes = [f"--blackboxed-module {name}" for name in self.boxes]
        read = sorted({*(name for name in self.files if name.endswith(".sv")), *self.read})
        return (
            f"read_slang --threads 1 --top {self.module} {' '.join([*boxes, *read])}\n"
            f"{map_cells(family, self.dsp, self.module)}\n"
            f"tee -q -o {place}cells.json stat -json\nwrite_rtlil {place}part.il\n"
        )


def parts(folder: Path, nodes: Sequence[str]) -> list[Part]:
    """Return the parts of a project, the top level last."""
    about = read_map(folder)
    allowed = {node: bool(about["multiplier_blocks"]) and about["nodes"][node]["dsp"] for node in nodes}
    units = [unit_name(node) for node in nodes]
    found = [
        Part(unit, tuple(closure(folder, unit)), dsp=allowed[node]) for node, unit in zip(nodes, units, strict=True)
    ]
    top = Part(TOP, tuple(closure(folder, TOP, without=units)), tuple(units), tuple(sources(folder)))
    return [*found, top]


def link(places: Sequence[str], place: str) -> str:
    """Return what Yosys is to do to join the parts in `places`, the top level last."""
    *units, top = [f"{one}part.il" for one in places]
    read = [f"read_rtlil {top}", *(f"read_rtlil -overwrite {unit}" for unit in units)]
    joined = [f"hierarchy -top {TOP}", "flatten", "opt_clean -purge", "check -assert"]
    left = [f"tee -q -o {place}cells.json stat -json", f"write_verilog -noattr {place}netlist.v"]
    return "\n".join([*read, *joined, *left]) + "\n"


def by_hand(folder: Path, family: Family, nodes: Sequence[str], place: str) -> dict[str, str]:
    """Return scripts of Yosys that do the same as `synthesise`, one run for each, and leave their results in `place`.

    Parameters
    ----------
    folder : Path
    family : Family
    nodes : sequence of str
        Of the graph.
    place : str
        Below the folder, "NAME/".

    Returns
    -------
    dict of str to str
        By file names that sort in the order of the runs.
    """
    scripts, places = {}, []
    for number, part in enumerate(parts(folder, nodes)):
        name = f"{number:04d}_{part.module}"
        places.append(f"{place}{name}_")
        scripts[f"{name}.ys"] = part.script(family, places[-1])
    scripts[f"{len(places):04d}_joined.ys"] = link(places, place)
    return scripts


@dataclass(frozen=True)
class Synthesised:
    """What `synthesise` gives.

    Parameters
    ----------
    report : SynthReport
        Of the whole.
    parts : dict of str to Counts
        By module; the top level has the forks.
    place : Path
        What Yosys left: ``yosys.log``, ``cells.json``, ``netlist.v``.
    """

    report: SynthReport
    parts: dict[str, Counts]
    place: Path


def synthesise(
    yosys: Yosys,
    family: Family,
    folder: Path,
    nodes: Sequence[str],
    cycles: int,
    say: Callable[[str], None] = lambda line: None,
) -> Synthesised:
    """Map the sources of a project folder, a few nodes at a time, and join the netlists.

    What was done before for the same sources, tool and family is not done again, so a run that was ended goes on.

    Parameters
    ----------
    yosys : Yosys
    family : Family
    folder : Path
    nodes : sequence of str
        Of the graph.
    cycles : int
        Clocks from frame to frame.
    say : callable, optional
        Told a line for every part that is done.

    Raises
    ------
    UserError
        When Yosys fails, or makes cells that nobody counts.
    """
    all_parts = parts(folder, nodes)

    def mapped(part: Part) -> str:
        name = stage.digest(folder, part.files, yosys.version, part.script(family, ""))

        def make(place: str) -> None:
            yosys.script(folder, part.script(family, place), place=place, timeout_s=TIMEOUT_S)

        return stage.kept(folder, f"build/part-{name}/", make)

    places: dict[str, str] = {}
    counts: dict[str, Counts] = {}
    with ThreadPoolExecutor(JOBS) as pool:
        # The largest sources first, so that the last one to end is no large one.
        order = sorted(all_parts, key=lambda part: -sum((folder / file).stat().st_size for file in part.files))
        waiting = {pool.submit(mapped, part): part for part in order}
        try:
            for done in as_completed(waiting):
                part = waiting[done]
                places[part.module] = done.result()
                cells = read_cells(folder / places[part.module] / "cells.json", part.module)
                counts[part.module] = found = family.count({c: n for c, n in cells.items() if c not in part.boxes})
                say(f"{part.module}: {found.lut:,} LUT, {found.ff:,} FF ({len(places)} of {len(waiting)})")
        except BaseException:
            for each in waiting:
                each.cancel()
            raise
    ordered = [places[part.module] for part in all_parts]
    contents = [f"{place}part.il" for place in ordered]
    name = stage.digest(folder, contents, yosys.version, link(["" for _ in ordered], ""))
    place = stage.kept(
        folder,
        f"build/netlist-{name}/",
        lambda p: yosys.script(folder, link(ordered, p), place=p, timeout_s=TIMEOUT_S),
    )
    total = family.count(read_cells(folder / place / "cells.json", TOP))
    report = SynthReport(
        tool=yosys.version,
        stage=family.stage,
        lut=total.lut,
        ff=total.ff,
        bram36=total.bram36,
        dsp=total.dsp,
        carry=total.carry,
        cycles_per_frame=cycles,
    )
    return Synthesised(report, {part.module: counts[part.module] for part in all_parts}, folder / place)


def read_cells(path: Path, top: str) -> dict[str, int]:
    """Return the cells of a module by kind, from what ``stat -json`` wrote."""
    cells = json.loads(path.read_bytes())["modules"][f"\\{top}"]["num_cells_by_type"]
    return {cell: number for cell, number in cells.items() if cell != "$scopeinfo"}
