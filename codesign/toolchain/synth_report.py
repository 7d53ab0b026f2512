"""One table for what the synthesis tools report, read from the files they write."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

import msgspec

from codesign.errors import UserError


class SynthReport(msgspec.Struct, frozen=True, kw_only=True):
    """Size and speed of a synthesised design.

    Attributes
    ----------
    tool : str
        Tool and release that made the numbers.
    stage : {"high-level synthesis", "logic synthesis", "logic synthesis in 7-series cells", "place and route"}
        High-level synthesis estimates resources; logic synthesis counts them, for UltraScale+ those of 7 series;
        after place and route they are those of a bitstream.
    lut, ff, dsp, uram : int
    bram36 : float
        Block memories of 36 Kib; smaller ones by their share, halves of 18 Kib or ninths of 4 Kib.
    clock_mhz, fmax_mhz : float or None
        Requested clock and the fastest one by the tool's estimate, in MHz.
    carry : int or None
        Carry cells, where they are counted.
    latency_cycles, cycles_per_frame : int or None
        Worst case from first input to last output, and from one frame to the next.
    """

    tool: str
    stage: str
    lut: int
    ff: int
    bram36: float
    dsp: int
    uram: int = 0
    carry: int | None = None
    clock_mhz: float | None = None
    fmax_mhz: float | None = None
    latency_cycles: int | None = None
    cycles_per_frame: int | None = None

    @property
    def bram18(self) -> float:
        """The same in block memories of 18 Kib."""
        return 2 * self.bram36

    @property
    def bram4(self) -> int:
        """The same in block memories of 4 Kib."""
        return round(9 * self.bram36)

    @property
    def frames_per_second(self) -> float | None:
        """Frames that the fastest clock gives."""
        if self.fmax_mhz is None or not self.cycles_per_frame:
            return None
        return round(1e6 * self.fmax_mhz / self.cycles_per_frame, 1)

    def exceeds(self, limits: dict[str, int]) -> list[str]:
        """Name the resources of which the design needs more than `limits` (see `Board.resources`)."""
        return [name for name, limit in limits.items() if getattr(self, name) > limit]


def read_project(folder: Path) -> SynthReport | None:
    """Read what a Vitis HLS project folder holds: the C synthesis report, refined by logic synthesis.

    Returns None when the folder holds no C synthesis report.

    Raises
    ------
    UserError
        When a report is there and cannot be read.
    """
    found = sorted(folder.glob("*_prj/solution*/syn/report/*_csynth.xml"))
    # The folder also holds one report per function; the top's own is repeated as csynth.xml.
    top = sorted(folder.glob("*_prj/solution*/syn/report/csynth.xml"))
    if not (top or found):
        return None
    report = read_csynth(top[0] if top else found[0])
    logic = folder / "vivado_synth.rpt"
    if logic.is_file():
        counts = read_utilization(logic)
        report = msgspec.structs.replace(report, stage="logic synthesis", **counts)
    return report


def read_csynth(path: Path) -> SynthReport:
    """Read ``csynth.xml``, the report of Vitis HLS (2020.2 to 2025.1) and of Vivado HLS before it.

    Raises
    ------
    UserError
        When the file is not such a report.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - written by the tool we have just run
    except (OSError, ET.ParseError) as error:
        raise UserError(f"cannot read the synthesis report {path}: {error}.") from error

    def number(*places: str) -> float | None:
        for place in places:
            text = root.findtext(place)
            if text is not None and _is_number(text):
                return float(text)
        return None

    area = "AreaEstimates/Resources/"
    timing = "PerformanceEstimates/"
    lut, ff = number(area + "LUT"), number(area + "FF")
    if lut is None or ff is None:
        raise UserError(f"{path} is no synthesis report of Vitis HLS: it has no AreaEstimates/Resources.")
    bram18 = number(area + "BRAM_18K") or 0
    target = number("UserAssignments/TargetClockPeriod")
    estimated = number(timing + "SummaryOfTimingAnalysis/EstimatedClockPeriod")
    latency = number(timing + "SummaryOfOverallLatency/Worst-caseLatency")
    interval = number(
        timing + "SummaryOfOverallLatency/Interval-max",
        timing + "SummaryOfOverallLatency/DataflowPipelineThroughput",
        timing + "SummaryOfOverallLatency/PipelineInitiationInterval",
    )
    return SynthReport(
        tool=f"Vitis HLS {root.findtext('ReportVersion/Version', default='').strip()}".strip(),
        stage="high-level synthesis",
        lut=int(lut),
        ff=int(ff),
        bram36=bram18 / 2,
        # Called DSP48E before release 2020.2.
        dsp=int(number(area + "DSP", area + "DSP48E") or 0),
        uram=int(number(area + "URAM") or 0),
        clock_mhz=round(1000 / target, 3) if target else None,
        fmax_mhz=round(1000 / estimated, 3) if estimated else None,
        latency_cycles=None if latency is None else int(latency),
        cycles_per_frame=None if interval is None else int(interval),
    )


# Row titles of `report_utilization`: 7-series first, UltraScale second.
_ROWS = {
    "lut": ("Slice LUTs", "CLB LUTs"),
    "ff": ("Slice Registers", "CLB Registers"),
    "bram36": ("Block RAM Tile",),
    "dsp": ("DSPs",),
    "uram": ("URAM",),
}


def read_utilization(path: Path) -> dict[str, float]:
    """Read the text report of Vivado's ``report_utilization`` (2019.1 to 2025.1).

    Returns
    -------
    dict
        ``lut``, ``ff``, ``bram36``, ``dsp`` and, where the family has them, ``uram``.

    Raises
    ------
    UserError
        When the file has no table of lookup tables.
    """
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"cannot read the utilization report {path}: {error.strerror or error}.") from error
    found: dict[str, float] = {}
    for title, used in _rows(lines):
        for key, titles in _ROWS.items():
            if key not in found and title in titles:
                found[key] = used if key == "bram36" else int(used)
    if not {"lut", "ff"} <= found.keys():
        raise UserError(f"{path} is no utilization report of Vivado: it has no table of LUTs.")
    return {"bram36": 0.0, "dsp": 0, **found}


def _rows(lines: Iterable[str]) -> Iterable[tuple[str, float]]:
    """Yield title and first number of every table row such as ``| Slice LUTs* | 1234 | ... |``."""
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 4 and _is_number(cells[2]):
            yield re.sub(r"\*+$", "", cells[1]), float(cells[2])


def _is_number(text: str) -> bool:
    # Latency and interval read "undef" or "?" when a loop bound is unknown.
    return re.fullmatch(r"\d+(\.\d+)?", text.strip()) is not None
