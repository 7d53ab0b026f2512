"""Reports as Vivado, Vitis HLS and FINN write them, by hand after their documents: none of the tools made one."""

from __future__ import annotations

import json
from collections.abc import Mapping

Numbers = Mapping[str, Mapping[str, float]]
"""Cells by resource ("lut", "ff", "bram36", "dsp"), by name."""

HEAD = """Copyright 1986-2022 Xilinx, Inc. All Rights Reserved. Copyright 2022-2023 Advanced Micro Devices, Inc.
-------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2023.2 (lin64) Build 4029153 Fri Oct 13 20:13:54 MDT 2023
| Command      : report_utilization {command}
| Design       : network
| Device       : xc7z020clg400-1
| Speed File   : -1
| Design State : Synthesized
-------------------------------------------------------------------------------------------

Utilization Design Information
"""


def flat(lut: int, ff: int, bram36: float, dsp: int) -> str:
    """``report_utilization`` without options."""
    return f"""{HEAD.format(command="-file utilization.rpt")}
1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs*                | {lut:>5} |     0 |          0 |     53200 | 18.45 |
|   LUT as Logic             | {lut:>5} |     0 |          0 |     53200 | 16.92 |
| Slice Registers            | {ff:>5} |     0 |          0 |    106400 | 11.60 |
+----------------------------+-------+-------+------------+-----------+-------+

2. Memory
---------

| Block RAM Tile             | {bram36:>5} |     0 |          0 |       140 | 12.50 |
|   RAMB36/FIFO*             |    17 |     0 |          0 |       140 | 12.14 |

3. DSP
------

| DSPs                       | {dsp:>5} |     0 |          0 |       220 |  2.27 |
"""


COLUMNS = ("Total LUTs", "Logic LUTs", "LUTRAMs", "SRLs", "FFs", "RAMB36", "RAMB18", "DSP Blocks")


def _cells(own: Mapping[str, float]) -> list[str]:
    ramb36, half = divmod(own["bram36"], 1)
    values = (own["lut"], own["lut"], 0, 0, own["ff"], ramb36, 2 * half, own["dsp"])
    return [str(round(value)) for value in values]


def hierarchy(units: Numbers, top: str = "network", percent: bool = False) -> str:
    """``report_utilization -hierarchical``, with ``-hierarchical_percentage`` or without."""
    total = {key: sum(own[key] for own in units.values()) for key in ("lut", "ff", "bram36", "dsp")}
    rows = [["Instance", "Module", *COLUMNS], [top, "(top)", *_cells(total)], [f"  ({top})", "(top)", *["0"] * 8]]
    for name, own in units.items():
        rows += [[f"  {name}", name.removesuffix("0"), *_cells(own)], [f"    ({name})", name, *["0"] * 8]]
    if percent:
        rows[1:] = [[*row[:2], *(f"{cell}(1.25%)" for cell in row[2:])] for row in rows[1:]]
    rule = "+" + "+".join("-" * 24 for _ in rows[0]) + "+"
    lines = ["| " + " | ".join(f"{cell:<22}" for cell in row) + " |" for row in rows]
    title = "1. Utilization by Hierarchy\n---------------------------\n"
    return "\n".join([HEAD.format(command="-hierarchical"), title, rule, lines[0], rule, *lines[1:], rule, ""])


def hierarchy_xml(units: Numbers) -> str:
    """``report_utilization -hierarchical -format xml``, as FINN has it made."""
    header = "".join(f'<tableheader contents="{title}"/>' for title in ("Instance", "Module", *COLUMNS))
    rows = [["(top)", "top_wrapper", *["9999"] * 8], *([f"    {name}", name, *_cells(o)] for name, o in units.items())]
    body = "".join(
        "<tablerow>" + "".join(f'<tablecell contents="{cell}"/>' for cell in row) + "</tablerow>" for row in rows
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<RptDoc><section title="Utilization by Hierarchy"><table>'
        f"<tablerow>{header}</tablerow>{body}</table></section></RptDoc>\n"
    )


def csynth(modules: Numbers, total: Mapping[str, float]) -> str:
    """``csynth.xml`` of a design."""

    def area(own: Mapping[str, float]) -> str:
        return (
            f"<AreaEstimates><Resources><BRAM_18K>{round(2 * own['bram36'])}</BRAM_18K><DSP>{round(own['dsp'])}</DSP>"
            f"<FF>{round(own['ff'])}</FF><LUT>{round(own['lut'])}</LUT><URAM>0</URAM></Resources>"
            "<AvailableResources><LUT>53200</LUT></AvailableResources></AreaEstimates>"
        )

    parts = "".join(f"<Module><Name>{name}</Name>{area(own)}</Module>" for name, own in modules.items())
    return (
        "<profile><ReportVersion><Version>2023.2</Version></ReportVersion>"
        "<UserAssignments><TargetClockPeriod>10.00</TargetClockPeriod></UserAssignments>"
        f"{area(total)}<ModuleInformation>{parts}</ModuleInformation></profile>\n"
    )


def finn(layers: Numbers, synthesised: bool) -> str:
    """``post_synth_resources.json`` or ``estimate_layer_resources.json``."""
    found: dict[str, dict[str, float]] = {}
    for name, own in layers.items():
        if synthesised:
            whole, half = divmod(own["bram36"], 1)
            found[name] = {
                "LUT": round(own["lut"]), "SRL": 0, "FF": round(own["ff"]), "BRAM_36K": round(whole),
                "BRAM_18K": round(2 * half), "DSP48": round(own["dsp"]),
            }  # fmt: skip
        else:
            found[name] = {
                "BRAM_18K": round(2 * own["bram36"]), "BRAM_efficiency": 0.5, "LUT": round(own["lut"]), "URAM": 0,
                "DSP": round(own["dsp"]),
            }  # fmt: skip
    top = {key: sum(own[key] for own in found.values()) for key in next(iter(found.values()))}
    return json.dumps({"(top)" if synthesised else "total": top, **found})
