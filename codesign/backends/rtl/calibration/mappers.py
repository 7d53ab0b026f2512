"""How modules are mapped to cells as a family's designs are, all of a design at once, and what their cells count as."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from codesign.backends.rtl import families, mapping, synthesis
from codesign.backends.rtl.synthesis import Counts
from codesign.backends.rtl.verilog import TOP
from codesign.errors import UserError
from codesign.toolchain.yosys import Yosys

TIMEOUT_S = 3600.0
_BLOCKS = 1_000_000
"""More multiplier blocks than a drawn design can take."""


class Mapper(Protocol):
    """Maps modules."""

    def counts(
        self,
        yosys: Yosys,
        folder: Path,
        read: Sequence[str],
        units: Sequence[str],
        dsp: bool,
        free: bool,
        top: str = TOP,
        boxes: Sequence[str] = (),
    ) -> dict[str, Counts]:
        """Return what modules and the top level take, by name.

        Parameters
        ----------
        yosys : Yosys
        folder : Path
            With the sources, for results.
        read : sequence of str
            Commands of Yosys that read them; the modules keep their hierarchy.
        units : sequence of str
            The modules.
        dsp, free : bool
            Multiplications may take multiplier blocks; these are as good as free.
        top : str
            The top level.
        boxes : sequence of str
            Modules in it that stay empty.
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

    def counts(
        self,
        yosys: Yosys,
        folder: Path,
        read: Sequence[str],
        units: Sequence[str],
        dsp: bool,
        free: bool,
        top: str = TOP,
        boxes: Sequence[str] = (),
    ) -> dict[str, Counts]:
        """Return what modules take; see `Mapper`."""
        lines = [*read, synthesis.map_cells(self.family, dsp, top), "tee -q -o cells.json stat -json"]
        yosys.script(folder, "\n".join(lines) + "\n", timeout_s=TIMEOUT_S)
        found = json.loads((folder / "cells.json").read_bytes())["modules"]
        cells = {module: found[f"\\{module}"]["num_cells_by_type"] for module in (*units, top)}
        return {module: self.family.count(_own(kinds, (*units, *boxes))) for module, kinds in cells.items()}


@dataclass(frozen=True)
class AsAWhole:
    """As `place_and_route` maps a design, with the places that nextpnr gives cells.

    Parameters
    ----------
    family : families.Family
    """

    family: families.Family

    def counts(
        self,
        yosys: Yosys,
        folder: Path,
        read: Sequence[str],
        units: Sequence[str],
        dsp: bool,
        free: bool,
        top: str = TOP,
        boxes: Sequence[str] = (),
    ) -> dict[str, Counts]:
        """Return what modules take; see `Mapper`."""
        lines = [*read, *mapping.widths(top, "multiplications.txt"), "write_rtlil design.il"]
        yosys.script(folder, "\n".join(lines) + "\n", timeout_s=TIMEOUT_S)
        chosen = self._chosen((folder / "multiplications.txt").read_text(), free) if dsp else []
        family = self.family
        absorb = family.absorb if free else ()
        clock = mapping.CLOCK_MHZ
        script = mapping.synthesise(top, family.synth, family.map_dsp, "", chosen, absorb, clock_mhz=clock)
        yosys.script(folder, f"{script}\nwrite_json netlist.json\n", timeout_s=TIMEOUT_S)
        found = json.loads((folder / "netlist.json").read_bytes())["modules"]
        return {
            module: self._count(list(found[module]["cells"].values()), (*units, *boxes)) for module in (*units, top)
        }

    def _chosen(self, dump: str, free: bool) -> list[str]:
        """Return the multiplications of all modules that take blocks, as ``module/cell``."""
        chosen = []
        for part in re.split(r"^module ", dump, flags=re.MULTILINE)[1:]:
            module = part.split(maxsplit=1)[0].removeprefix("\\")
            chosen += [f"{module}/{cell}" for cell in mapping.choose(part, self.family.dsp_bits, _BLOCKS, free)]
        return chosen

    def _count(self, cells: Sequence[Mapping[str, Any]], units: Sequence[str]) -> Counts:
        kinds = _own(Counter(cell["type"] for cell in cells), units)
        if self.family.places is None:
            raise UserError("what nextpnr makes of this family's cells is not known here.")
        return self.family.places(kinds, cells)


def _own(kinds: Mapping[str, int], units: Sequence[str]) -> dict[str, int]:
    """Return the cells of a module by kind, without modules and what says where others come from."""
    return {kind: number for kind, number in kinds.items() if kind not in units and kind != "$scopeinfo"}


def of_board_family(name: str) -> Mapper:
    """Return how designs for the family of a board are mapped.

    Raises
    ------
    UserError
        When its cells are not counted.
    """
    if name in families.FAMILIES:
        return AsAWhole(families.FAMILIES[name])
    return NodeByNode(synthesis.family(name))
