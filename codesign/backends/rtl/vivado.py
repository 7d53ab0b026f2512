"""The project for Vivado: scripts that build a bitstream for a Zynq-7000 board, or the network alone.

The scripts lie in ``hw/shell/vivado`` and read what this module writes. They were checked with a Tcl interpreter and
stand-ins for Vivado's commands, and not yet run with Vivado.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from codesign import resources
from codesign.backends.base import SynthResult
from codesign.backends.rtl import axi_stream, modules, stage, synthesis
from codesign.backends.rtl.axi_stream import Ports
from codesign.backends.rtl.folder import read_map
from codesign.boards import Board, Processor
from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.toolchain import vivado
from codesign.toolchain.find import Tool
from codesign.toolchain.synth_report import SynthReport

PLACE = "build/vivado/"
"""Below the project folder: scripts, sources of the shell, and results."""

SCRIPTS = {"vivado": "build", "vivado-ooc": "out_of_context"}
"""Scripts by what a user asks for: a bitstream, or the network alone, out of context."""

FAMILY = "zynq-7000"


def require(board: Board, tool: str) -> None:
    """Accept a board that Vivado is to build for.

    Parameters
    ----------
    board : Board
    tool : str
        A key of `SCRIPTS`.

    Raises
    ------
    UserError
        When Vivado does not know the board's part, or what surrounds the network there is not written.
    """
    if board.toolchain != "vivado":
        raise UserError(f"Vivado builds for parts of AMD; {board.name} has a {board.vendor} part: leave --tool out.")
    if tool == "vivado-ooc":
        return
    alone = "--tool vivado-ooc builds the network alone"
    if board.family != FAMILY:
        raise UserError(f"Vivado bitstreams are made for {FAMILY} boards; {board.name} is {board.family}: {alone}.")
    if board.processor is None:
        raise UserError(f"the file of the board {board.name} has no table [processor]; add one, or {alone}.")


@dataclass(frozen=True)
class Design:
    """A project and what Vivado is to do with it.

    Parameters
    ----------
    folder : Path
        Of the project.
    board : Board
    ports : Ports
        Of the network.
    cycles : int
        Clocks from frame to frame.
    tool : str
        A key of `SCRIPTS`.
    """

    folder: Path
    board: Board
    ports: Ports
    cycles: int
    tool: str

    @property
    def script(self) -> str:
        """Where the script lies below the folder."""
        return f"{PLACE}{SCRIPTS[self.tool]}.tcl"

    @property
    def command(self) -> str:
        """What to type in a shell."""
        return f"cd {shlex.quote(str(self.folder))} && {shlex.join(vivado.command(self.script))}"

    def write(self) -> str:
        """Write the script and its sources, and return where below the folder results go: named by all that goes in."""
        hw, name = resources.folder("hw"), SCRIPTS[self.tool]
        files = {f"{file}.tcl": (hw / "shell" / "vivado" / f"{file}.tcl").read_text() for file in (name, "common")}
        if self.tool == "vivado":
            shell = (hw / "shell" / "vivado" / "axi_stream_shell.sv").read_text()
            library = modules.needed(shell, modules.files(hw / "rtl"))
            files["axi_stream_shell.sv"] = shell
            # What the network is made of as well lies in its folder.
            files |= {f"{n}.sv": text for n, text in library.items() if not (self.folder / f"{n}.sv").is_file()}
            files[f"{axi_stream.TOP}.v"] = self.ports.wrapper()
        else:
            files["clock.xdc"] = f"create_clock -name clk -period {self.board.clock_period_ns:.3f} [get_ports clk]\n"
        settings = self._settings([file for file in files if file.endswith(".sv")])
        digest = stage.digest(self.folder, synthesis.content(self.folder), settings, sorted(files.items()))
        results = f"{PLACE}{name}-{digest}/"
        files[f"{name}_settings.tcl"] = f"{settings}set folder {results.rstrip('/')}\n"
        for file, text in files.items():
            atomic_write(self.folder / PLACE / file, text)
        return results

    def _settings(self, shell: list[str]) -> str:
        """Return what the script reads, but for the folder of the results; the files `shell` lie beside it."""
        lines = [
            f"# Written by codesign, read by {SCRIPTS[self.tool]}.tcl. Paths are below the project folder.",
            f"set part {self.board.part}",
            f"set clock_mhz {self.board.clock_mhz:g}",
            f"set multiplier_blocks {read_map(self.folder)['multiplier_blocks']}",
            _list("sources", [*synthesis.sources(self.folder), *(PLACE + file for file in sorted(shell))]),
            _list("memories", sorted(path.name for path in self.folder.glob("*.mem"))),
        ]
        if self.tool == "vivado" and self.board.processor is not None:
            lines += [
                f"set wrapper {PLACE}{axi_stream.TOP}.v",
                f"set in_bits {self.ports.data_in}",
                f"set out_bits {self.ports.data_out}",
                f"set memory_range {self.board.processor.ddr_mib}M",
                _list("memory_controller", _memory_controller(self.board.processor)),
            ]
        return "\n".join(lines) + "\n"


def _list(name: str, values: list[str]) -> str:
    """Return the Tcl that sets a list. Nothing is substituted in braces as long as they hold none and no backslash."""
    for value in values:
        if set(value) & set("{}\\\n"):
            raise UserError(
                f"the name {value!r} cannot be given to Vivado; rename the file, or take it out of the project."
            )
    return f"set {name} [list" + "".join(f" \\\n    {{{value}}}" for value in values) + "]"


def _memory_controller(processor: Processor) -> list[str]:
    """Return properties of the processing system, each followed by its value."""
    values = {
        "CRYSTAL_PERIPHERAL_FREQMHZ": f"{processor.crystal_mhz:g}",
        "UIPARAM_DDR_ENABLE": "1",
        "UIPARAM_DDR_PARTNO": processor.ddr_part,
        "UIPARAM_DDR_BUS_WIDTH": f"{processor.ddr_bits} Bit",
        "UIPARAM_DDR_FREQ_MHZ": f"{processor.ddr_mhz:g}",
    }
    for lane in range(4):
        values[f"UIPARAM_DDR_BOARD_DELAY{lane}"] = f"{processor.ddr_board_delay_ns[lane]:.3f}"
        values[f"UIPARAM_DDR_DQS_TO_CLK_DELAY_{lane}"] = f"{processor.ddr_dqs_to_clock_ns[lane]:.3f}"
    return [part for key, value in values.items() for part in (f"CONFIG.PCW_{key}", value)]


def synthesise(design: Design) -> SynthResult:
    """Write everything and run Vivado, unless the same was run before; or say what to run where it is missing.

    Results of a run by hand are found as well: the script names their folder by the content of all sources.

    Raises
    ------
    UserError
        When a step fails, or a report is missing.
    """
    results = design.write()
    folder, log = design.folder / results, design.folder / results / "vivado.log"
    tool = vivado.locate()
    if tool is None:
        # A run by hand of a design that is too large does not come to its end.
        if not (folder / stage.FINISHED).is_file() and _too_large(design, folder) is None:
            return SynthResult(status="tool-missing", tool="Vivado", command=design.command)
        report, bitstream = _read(design, folder)
        return SynthResult(
            status="done", tool=report.tool, command=design.command, report=report, found=True, bitstream=bitstream
        )
    _forget_unusable(design, folder, tool)
    stage.kept(design.folder, results, lambda _: _run(tool, design, folder, log))
    report, bitstream = _read(design, folder)
    return SynthResult(
        status="done", tool=report.tool, command=design.command, report=report, log=log, bitstream=bitstream
    )


def _run(tool: Tool, design: Design, folder: Path, log: Path) -> None:
    try:
        vivado.batch(tool, design.folder, design.script, log, synthesis.TIMEOUT_S)
    except UserError:
        # That a design is too large is a result as well.
        if _too_large(design, folder) is None:
            raise


def _read(design: Design, folder: Path) -> tuple[SynthReport, Path | None]:
    """Return report and bitstream of a run that is complete; there is none where the clock is too fast, or too little
    of something is on the part.
    """
    if (early := _too_large(design, folder)) is not None:
        return early, None
    report = vivado.read_report(folder / "utilization.rpt", folder / "timing.rpt")
    timing, bitstream = vivado.read_timing(folder / "timing.rpt"), folder / "network.bit"
    if timing.setup_ns >= 0 and not timing.met:
        raise UserError(
            f"Vivado missed a hold time or a pulse width, which no slower clock cures; see {folder / 'timing.rpt'}."
        )
    return _counted(report, design), bitstream if timing.met and bitstream.is_file() else None


def _too_large(design: Design, folder: Path) -> SynthReport | None:
    """Return the report of synthesis alone where a design is larger than its part: it does not get past placement."""
    path = folder / "utilization_synth.rpt"
    if (folder / "utilization.rpt").is_file() or not path.is_file():
        return None
    report = _counted(vivado.read_report(path, None), design)
    return report if report.exceeds(design.board.resources()) else None


def _counted(report: SynthReport, design: Design) -> SynthReport:
    return msgspec.structs.replace(report, cycles_per_frame=design.cycles)


def _forget_unusable(design: Design, folder: Path, tool: Tool) -> None:
    """Remove results of another release of Vivado, and such that cannot be read."""
    if not (folder / stage.FINISHED).is_file():
        return
    try:
        found = _too_large(design, folder) or vivado.read_report(folder / "utilization.rpt", None)
        # A release may be patched, "2020.1.1_AR73018".
        kept = tool.version == "unknown" or found.tool.startswith(f"Vivado {tool.version}")
    except UserError:
        kept = False
    if not kept:
        shutil.rmtree(folder)
