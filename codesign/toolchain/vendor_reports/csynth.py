"""``csynth.xml`` of Vitis HLS, of the whole design or of one function; written after UG1399.

Vivado HLS wrote the same, with ``DSP48E`` for ``DSP``.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from codesign.errors import UserError
from codesign.toolchain.vendor_reports import safe_xml
from codesign.toolchain.vendor_reports.usage import Usage, VendorReport, number

_FIELDS = {"lut": ("LUT",), "ff": ("FF",), "bram18": ("BRAM_18K",), "dsp": ("DSP", "DSP48E")}
_RESOURCES = "AreaEstimates/Resources"


def recognises(content: bytes) -> bool:
    """Return whether a file has this format."""
    return content.lstrip().startswith(b"<") and re.search(rb"<(profile|AreaEstimates)\b", content) is not None


def read(path: Path, content: bytes) -> VendorReport:
    """Read it.

    Raises
    ------
    UserError
        When it is damaged.
    """
    root = safe_xml.parse(path, content)
    resources = root.find(_RESOURCES)
    if resources is None:
        raise UserError(f"{path} is no synthesis report of Vitis HLS: it has no AreaEstimates/Resources.")
    total = _usage(path, resources, "the design")
    if not {"lut", "ff"} <= total.keys():
        raise UserError(f"{path}: AreaEstimates/Resources has no LUT or no FF; the report is damaged.")
    parts = []
    for module in root.iterfind("ModuleInformation/Module"):
        name, own = (module.findtext("Name") or "").strip(), module.find(_RESOURCES)
        if name and own is not None:
            parts.append((name, _usage(path, own, name)))
    version = re.sub(r"[^\w. ]", "", (root.findtext("ReportVersion/Version") or "").strip())[:20]
    return VendorReport("vitis-hls", f"Vitis HLS {version}".strip(), "high-level synthesis", total, tuple(parts))


def _usage(path: Path, resources: ET.Element, of: str) -> Usage:
    found = {}
    for resource, names in _FIELDS.items():
        for name in names:
            text = resources.findtext(name)
            # "~0" is less than one in a hundred of what there is.
            if text is not None and resource not in found:
                found[resource] = number(path, text.strip().lstrip("~"), f"{name} of {of}")
    if "bram18" in found:
        found["bram36"] = found.pop("bram18") / 2
    return found
