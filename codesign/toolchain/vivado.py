"""Vivado: finding it, running a script in batch mode, and reading its timing summary.

Written from the documents of AMD (UG835, UG906) and from reports that others published; not yet run with Vivado.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from codesign.errors import UserError
from codesign.toolchain.find import Tool, find
from codesign.toolchain.run import run
from codesign.toolchain.synth_report import SynthReport, read_utilization

TIMING_MISSED = 3
"""Exit code of the scripts where all steps are done and timing is not met."""


def locate() -> Tool | None:
    """Return Vivado from the folder that its settings script exports, or from PATH; else None."""
    folder = os.environ.get("XILINX_VIVADO")
    return find(["vivado"], folders=[Path(folder) / "bin"] if folder else [], version_flag="-version")


def command(script: str) -> list[str]:
    """Arguments that run a Tcl `script` unattended, from the folder to which its path is relative."""
    return ["vivado", "-mode", "batch", "-source", script]


def batch(tool: Tool, folder: Path, script: str, log: Path, timeout_s: float | None = None) -> bool:
    """Run a Tcl script in `folder`.

    Parameters
    ----------
    tool : Tool
        From `locate`.
    folder : Path
    script : str
        Relative to `folder`.
    log : Path
    timeout_s : float, optional

    Returns
    -------
    bool
        Whether timing is met.

    Raises
    ------
    UserError
        When the script ends otherwise: with its sentence, or else with the last error of Vivado, and the log.
    """
    arguments = [str(tool.path), *command(script)[1:], "-nolog", "-nojournal"]
    done = run(arguments, folder=folder, log=log, timeout_s=timeout_s)
    if done.returncode in (0, TIMING_MISSED):
        return done.returncode == 0
    told = re.findall(r"^codesign: stopped: (.*)", done.output, re.MULTILINE)
    errors = re.findall(r"^ERROR: (.*)", done.output, re.MULTILINE)
    reason = (told or errors or [f"it ended with code {done.returncode}"])[-1].rstrip(".")
    raise UserError(f"Vivado failed: {reason}. See {log}.")


@dataclass(frozen=True)
class Timing:
    """What ``report_timing_summary`` says of a whole design.

    Parameters
    ----------
    setup_ns, hold_ns, pulse_ns : float
        Worst slacks: WNS, WHS and WPWS.
    period_ns : float
        Of the fastest clock.
    """

    setup_ns: float
    hold_ns: float
    pulse_ns: float
    period_ns: float

    @property
    def met(self) -> bool:
        """Whether no slack is negative."""
        return min(self.setup_ns, self.hold_ns, self.pulse_ns) >= 0

    @property
    def fmax_mhz(self) -> float:
        """Clock at which the worst setup slack would be 0, in a design with one clock."""
        return round(1000 / (self.period_ns - self.setup_ns), 3)


def read_timing(path: Path) -> Timing:
    """Read the text report of ``report_timing_summary``.

    Raises
    ------
    UserError
        When the file cannot be read, has no table of slacks or of clocks, or no path is constrained.
    """
    lines = _text(path).splitlines()
    slacks = _row(lines, r"\s*WNS\(ns\)\s+TNS\(ns\)\s.*WHS\(ns\)\s.*WPWS\(ns\)\s")
    periods = [float(row[1]) for row in _clocks(lines)]
    if slacks is None or len(slacks) < 12 or not periods:
        raise UserError(f"{path} is no timing summary of Vivado: it has no table of slacks or none of clocks.")
    # Four columns each: slack, total of negative slacks, failing endpoints, all endpoints.
    worst = slacks[0], slacks[4], slacks[8]
    if not all(_is_number(value) for value in worst):
        raise UserError(f"{path} tells no slack ({', '.join(worst)}): no path has a clock.")
    setup, hold, pulse = map(float, worst)
    return Timing(setup, hold, pulse, min(periods))


def read_report(utilization: Path, timing: Path | None) -> SynthReport:
    """Read what a script left.

    Parameters
    ----------
    utilization : Path
        Of ``report_utilization``.
    timing : Path or None
        Of ``report_timing_summary`` after routing; None after synthesis alone.

    Raises
    ------
    UserError
        When one is missing or is no such report.
    """
    counts = read_utilization(utilization)
    found = re.search(r"Vivado v\.(\S+)", _text(utilization))
    routed = read_timing(timing) if timing else None
    return SynthReport(
        tool=f"Vivado {found[1]}" if found else "Vivado",
        stage="place and route" if routed else "logic synthesis",
        lut=int(counts["lut"]),
        ff=int(counts["ff"]),
        bram36=counts["bram36"],
        dsp=int(counts["dsp"]),
        uram=int(counts.get("uram", 0)),
        clock_mhz=round(1000 / routed.period_ns, 3) if routed else None,
        fmax_mhz=routed.fmax_mhz if routed else None,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise UserError(f"cannot read the report {path}: {error.strerror or error}.") from error


def _row(lines: list[str], header: str) -> list[str] | None:
    """Return the cells of the first row below a header and its rule, or None."""
    for number, line in enumerate(lines):
        if re.match(header, line + " ") and len(lines) > number + 2:
            return lines[number + 2].split()
    return None


def _clocks(lines: list[str]) -> list[tuple[str, str]]:
    """Return name and period of every clock."""
    first = next(
        (n for n, line in enumerate(lines) if re.match(r"\s*Clock\s+Waveform\(ns\)\s+Period\(ns\)", line)), None
    )
    if first is None:
        return []
    found = []
    for line in lines[first + 2 :]:
        row = re.match(r"\s*(\S+)\s+\{[^}]*\}\s+(\d+\.\d+)\s", line + " ")
        if row is None:
            break
        found.append((row[1], row[2]))
    return found


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
