"""Reports of the vendors' tools and of FINN that a user brings along: which format a file has, and what it says.

The formats are those of the documents (UG835, UG906, UG1399, FINN's build flow) and of reports that others published;
no file of these tools was made with this package yet.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from codesign.errors import UserError
from codesign.toolchain.vendor_reports import csynth, finn, vivado
from codesign.toolchain.vendor_reports.usage import VendorReport

__all__ = ["MOST_BYTES", "VendorReport", "read"]

MOST_BYTES = 64 << 20
"""Of a file: the largest hierarchical reports have a few."""
_FORMATS = (vivado, csynth, finn)


def read(path: Path) -> VendorReport:
    """Read a report, whichever of the known formats it has.

    Parameters
    ----------
    path : Path
        ``report_utilization`` of Vivado as text, flat or hierarchical, or hierarchical as XML; ``csynth.xml`` of Vitis
        HLS; ``estimate_layer_resources.json`` or ``post_synth_resources.json`` or ``.xml`` of FINN.

    Raises
    ------
    UserError
        When it cannot be read, is too large, has none of these formats, or is damaged.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() or size > MOST_BYTES:
            raise UserError(f"{path} is no file of at most {MOST_BYTES >> 20} MiB; give a report of one design.")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the report {path}: {error.strerror or error}.") from error
    for each in _FORMATS:
        if each.recognises(content):
            return replace(each.read(path, content), sha256=hashlib.sha256(content).hexdigest())
    raise UserError(
        f"{path} is none of the known reports; give report_utilization of Vivado (text, or -hierarchical -format xml), "
        "csynth.xml of Vitis HLS, or estimate_layer_resources.json or post_synth_resources.json of FINN."
    )
