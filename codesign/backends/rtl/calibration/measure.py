"""Synthesis of all nodes of a design in one run of Yosys, each a module of its own, so that its start is paid once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codesign import resources
from codesign.backends.rtl import described, modules, synthesis, verilog
from codesign.backends.rtl.calibration import apart
from codesign.backends.rtl.calibration.designs import Design
from codesign.backends.rtl.calibration.mappers import Mapper, Task
from codesign.backends.rtl.layout import Layout
from codesign.backends.rtl.serial_shell import TOP as SHELL
from codesign.backends.rtl.synthesis import Counts
from codesign.backends.rtl.verilog import TOP, unit_name
from codesign.toolchain.yosys import Yosys

SHELL_CLOCKS = 217
"""Of a bit on the line: 115,200 baud at 25 MHz."""


def nodes(yosys: Yosys, mapper: Mapper, design: Design, layout: Layout, folder: Path) -> dict[str, Counts]:
    """Return what the nodes of a design take, and the top level with its forks, by name.

    Parameters
    ----------
    yosys : Yosys
    mapper : Mapper
    design : Design
    layout : Layout
        Of the design.
    folder : Path
        Empty, for sources and results.

    Notes
    -----
    Cells are mapped module by module, with the commands of the family's synthesis; LUTs differ from those of a run
    for each node alone by no more than the order of Yosys' cells makes of it, a per cent or two of some nodes.
    """
    _write(verilog.write(layout), folder)
    units = {unit_name(node.name): node.name for node in design.graph}
    boxes = " ".join(f"--blackboxed-module {unit}" for unit in units)
    top = [f"read_slang --threads 1 --top {TOP} {boxes} {' '.join(synthesis.sources(folder))}"]
    top.append(f"delete {' '.join(f'={unit}' for unit in units)}")
    found = _run(yosys, mapper, folder, list(units), top, design)
    return {units.get(module, module): counts for module, counts in found.items()}


def blocks(yosys: Yosys, mapper: Mapper, design: Design, layout: Layout, folder: Path) -> dict[str, Counts]:
    """Return what the blocks of a design take, each alone, by the names of `apart.distinct`; see `nodes`."""
    files: dict[str, str] = {}
    names = []
    for name, block in apart.distinct(layout):
        text, own = apart.alone(block, name)
        files |= {f"{name}.sv": text} | own
        names.append(name)
    instances = "".join(f"    {name} i_{name} ();\n" for name in names)
    _write(files | {f"{TOP}.sv": f"module {TOP};\n{instances}endmodule\n"}, folder)
    found = _run(yosys, mapper, folder, names, [f"read_verilog {TOP}.sv"], design)
    del found[TOP]
    return found


def shell(yosys: Yosys, mapper: Mapper, layout: Layout, folder: Path) -> Counts:
    """Return what the serial shell around a layout takes; `folder` is empty, see `nodes`."""
    hw = resources.folder("hw") / "shell"
    files = {path.name: path.read_text() for path in modules.files(hw).values()}
    _write(files | verilog.write(layout), folder)
    parameters = described.shell(layout, SHELL_CLOCKS, led_low=False).parameters
    given = " ".join(f"-G {name}={value}" for name, value in parameters.items())
    sources = " ".join(synthesis.sources(folder))
    read = f"read_slang --threads 1 --top {SHELL} {given} --blackboxed-module {TOP} {sources}"
    task = Task([read, f"setattr -set keep 1 t:{TOP}"], [], top=SHELL, boxes=[TOP])
    return mapper.counts(yosys, folder, task)[SHELL]


def _write(files: dict[str, str], folder: Path) -> None:
    """Write sources, and those of the library that they need."""
    for name, text in files.items():
        (folder / name).write_text(text)
    written = "".join(text for name, text in files.items() if name.endswith(".sv"))
    for module, text in modules.needed(written, modules.files(resources.folder("hw") / "rtl")).items():
        (folder / f"{module}.sv").write_text(text)


def _run(
    yosys: Yosys, mapper: Mapper, folder: Path, units: Sequence[str], top: Sequence[str], design: Design
) -> dict[str, Counts]:
    """Return what modules take, and the top level that is read by the lines `top`."""
    lines = list(top)
    for unit in units:
        sources = [name for name in synthesis.closure(folder, unit) if name.endswith(".sv")]
        lines.append(f"read_slang --threads 1 --top {unit} {' '.join(sources)}")
    lines.append(f"setattr -mod -set keep_hierarchy 1 {' '.join(units)}")
    # Without a reader outside a module would be taken for superfluous.
    lines.append(f"setattr -set keep 1 {' '.join(f'{TOP}/t:{unit}' for unit in units)}")
    return mapper.counts(yosys, folder, Task(lines, units, design.dsp, design.free))
