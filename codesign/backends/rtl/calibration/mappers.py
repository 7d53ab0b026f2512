"""How modules are mapped to cells as a family's designs are, all of a design at once, and what their cells count as."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from codesign.backends.rtl import families, mapping, synthesis
from codesign.backends.rtl.families.family import Places
from codesign.backends.rtl.synthesis import Counts
from codesign.backends.rtl.verilog import TOP
from codesign.toolchain.yosys import Yosys

TIMEOUT_S = 3600.0
_BLOCKS = 1_000_000
"""More multiplier blocks than a drawn design can take."""


@dataclass(frozen=True)
class Task:
    """Modules to map, each counted by itself.

    Parameters
    ----------
    read : sequence of str
        Commands of Yosys that read them; the modules keep their hierarchy.
    units : sequence of str
        The modules.
    dsp, free : bool
        Multiplications may take multiplier blocks; these are as good as free.
    top : str
        The top level, which is counted too.
    boxes : sequence of str
        Modules in it that stay empty.
    """

    read: Sequence[str]
    units: Sequence[str]
    dsp: bool = False
    free: bool = False
    top: str = TOP
    boxes: Sequence[str] = ()

    @property
    def counted(self) -> list[str]:
        """Modules whose cells are counted."""
        return [*self.units, self.top]

    def own(self, kinds: Mapping[str, int]) -> dict[str, int]:
        """Return the cells of a module by kind, without modules and what says where others come from."""
        aside = {*self.units, *self.boxes, "$scopeinfo"}
        return {kind: number for kind, number in kinds.items() if kind not in aside}


class Mapper(Protocol):
    """Maps modules."""

    def counts(self, yosys: Yosys, folder: Path, task: Task) -> dict[str, Counts]:
        """Return what modules and the top level take, by name.

        Parameters
        ----------
        yosys : Yosys
        folder : Path
            With the sources, for results.
        task : Task

        Raises
        ------
        UserError
            When Yosys fails, or makes cells that nobody counts.
        """
        ...


@dataclass(frozen=True)
class NodeByNode:
    """As `synthesis` maps a design, node by node.

    Parameters
    ----------
    family : synthesis.Family
    """

    family: synthesis.Family

    def counts(self, yosys: Yosys, folder: Path, task: Task) -> dict[str, Counts]:
        """Return what modules take; see `Mapper`."""
        lines = [*task.read, synthesis.map_cells(self.family, task.dsp, task.top), "tee -q -o cells.json stat -json"]
        yosys.script(folder, "\n".join(lines) + "\n", timeout_s=TIMEOUT_S)
        found = json.loads((folder / "cells.json").read_bytes())["modules"]
        cells = {module: found[f"\\{module}"]["num_cells_by_type"] for module in task.counted}
        return {module: self.family.count(task.own(kinds)) for module, kinds in cells.items()}


@dataclass(frozen=True)
class AsAWhole:
    """As `place_and_route` maps a design, with the places that nextpnr gives cells.

    Parameters
    ----------
    family : families.Family
    places : callable
        See `families.Family`.
    """

    family: families.Family
    places: Places

    def counts(self, yosys: Yosys, folder: Path, task: Task) -> dict[str, Counts]:
        """Return what modules take; see `Mapper`."""
        family, clock = self.family, mapping.CLOCK_MHZ
        lines = [*task.read, *mapping.free_memories(family.distributed)]
        lines += [*mapping.widths(task.top, "multiplications.txt"), "write_rtlil design.il"]
        yosys.script(folder, "\n".join(lines) + "\n", timeout_s=TIMEOUT_S)
        chosen = self._chosen((folder / "multiplications.txt").read_text(), task.free) if task.dsp else []
        absorb = family.absorb if task.free else ()
        script = mapping.synthesise(task.top, family.synth, family.map_dsp, "", chosen, absorb, clock_mhz=clock)
        yosys.script(folder, f"{script}\nwrite_json netlist.json\n", timeout_s=TIMEOUT_S)
        found = json.loads((folder / "netlist.json").read_bytes())["modules"]
        cells = {module: list(found[module]["cells"].values()) for module in task.counted}
        kinds = {module: task.own(Counter(cell["type"] for cell in own)) for module, own in cells.items()}
        return {module: self.places(kinds[module], own) for module, own in cells.items()}

    def _chosen(self, dump: str, free: bool) -> list[str]:
        """Return the multiplications of all modules that take blocks, as ``module/cell``."""
        chosen = []
        for part in re.split(r"^module ", dump, flags=re.MULTILINE)[1:]:
            module = part.split(maxsplit=1)[0].removeprefix("\\")
            chosen += [f"{module}/{cell}" for cell in mapping.choose(part, self.family.dsp_bits, _BLOCKS, free)]
        return chosen


def of_board_family(name: str) -> Mapper:
    """Return how designs for the family of a board are mapped.

    Raises
    ------
    UserError
        When its cells are not counted.
    """
    found = families.FAMILIES.get(name)
    if found and found.places:
        return AsAWhole(found, found.places)
    return NodeByNode(synthesis.family(name))
