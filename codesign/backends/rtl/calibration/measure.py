"""Synthesis of all nodes of a design in one run of Yosys, each a module of its own, so that its start is paid once."""

from __future__ import annotations

import json
from pathlib import Path

from codesign import resources
from codesign.backends.rtl import modules, synthesis, verilog
from codesign.backends.rtl.calibration.designs import Design
from codesign.backends.rtl.layout import Layout
from codesign.backends.rtl.synthesis import Counts, Family
from codesign.backends.rtl.verilog import TOP, unit_name
from codesign.toolchain.yosys import Yosys

TIMEOUT_S = 3600.0


def write(layout: Layout, folder: Path) -> None:
    """Write the sources of a design, those of the library that it needs among them."""
    files = verilog.write(layout)
    for name, text in files.items():
        (folder / name).write_text(text)
    written = "".join(text for name, text in files.items() if name.endswith(".sv"))
    for module, text in modules.needed(written, modules.files(resources.folder("hw") / "rtl")).items():
        (folder / f"{module}.sv").write_text(text)


def script(folder: Path, design: Design, family: Family) -> str:
    """Return what Yosys is to do: read every node and the top level, map each as `synthesis` does, and count."""
    units = [unit_name(node.name) for node in design.graph]
    boxes = " ".join(f"--blackboxed-module {unit}" for unit in units)
    lines = [f"read_slang --threads 1 --top {TOP} {boxes} {' '.join(synthesis.sources(folder))}"]
    lines.append(f"delete {' '.join(f'={unit}' for unit in units)}")
    for unit in units:
        sources = [name for name in synthesis.closure(folder, unit) if name.endswith(".sv")]
        lines.append(f"read_slang --threads 1 --top {unit} {' '.join(sources)}")
    lines.append(f"setattr -mod -set keep_hierarchy 1 {' '.join(units)}")
    # Without a reader outside a node would be taken for superfluous.
    lines.append(f"setattr -set keep 1 {' '.join(f'{TOP}/t:{unit}' for unit in units)}")
    lines += [synthesis.map_cells(family, design.dsp, TOP), "tee -q -o cells.json stat -json"]
    return "\n".join(lines) + "\n"


def measure(yosys: Yosys, family: Family, design: Design, layout: Layout, folder: Path) -> dict[str, Counts]:
    """Return what the nodes of a design take, and the top level with its forks, by name.

    Parameters
    ----------
    yosys : Yosys
    family : Family
    design : Design
    layout : Layout
        Of the design.
    folder : Path
        Empty, for sources and results.

    Notes
    -----
    Cells are mapped module by module, with the commands of `synthesis.synthesise`; LUTs differ from those of a run
    for each node alone by no more than the order of Yosys' cells makes of it, a per cent or two of some nodes.
    """
    write(layout, folder)
    yosys.script(folder, script(folder, design, family), timeout_s=TIMEOUT_S)
    units = {unit_name(node.name): node.name for node in design.graph} | {TOP: TOP}
    found = json.loads((folder / "cells.json").read_bytes())["modules"]
    counts = {}
    for module, name in units.items():
        cells = found[f"\\{module}"]["num_cells_by_type"]
        counts[name] = family.count({c: n for c, n in cells.items() if c not in units and c != "$scopeinfo"})
    return counts
