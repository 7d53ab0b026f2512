"""``report_utilization`` of Vivado: the text, flat or with ``-hierarchical``, and the hierarchy as XML.

Written after UG835 and UG906. FINN leaves the same XML as ``post_synth_resources.xml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from codesign.errors import UserError
from codesign.toolchain.vendor_reports import safe_xml
from codesign.toolchain.vendor_reports.usage import Usage, VendorReport, number

# Rows of the flat tables: 7-series first, UltraScale and Versal after it.
_FLAT = {
    "lut": ("Slice LUTs", "CLB LUTs"),
    "ff": ("Slice Registers", "CLB Registers"),
    "bram36": ("Block RAM Tile",),
    "dsp": ("DSPs", "DSP Slices"),
}
# Columns of the hierarchy.
_COLUMNS = {
    "lut": ("Total LUTs",),
    "ff": ("FFs",),
    "ramb36": ("RAMB36",),
    "ramb18": ("RAMB18",),
    "dsp": ("DSP Blocks", "DSP48 Blocks", "DSP Slices"),
}
_XML = re.compile(rb"<(?:\w+:)?(?:RptDoc|tablerow)\b")


def recognises(content: bytes) -> bool:
    """Return whether a file has this format."""
    if content.lstrip().startswith(b"<"):
        return _XML.search(content) is not None
    return b"| Slice LUTs" in content or b"| CLB LUTs" in content or _header(_rows(content)) is not None


def read(path: Path, content: bytes) -> VendorReport:
    """Read it.

    Raises
    ------
    UserError
        When it is damaged.
    """
    if content.lstrip().startswith(b"<"):
        root = safe_xml.parse(path, content)
        rows = [[cell.get("contents", "") for cell in row] for row in root.iter() if _local(row.tag) == "tablerow"]
        return _report(path, rows, "")
    text = content.decode(errors="replace")
    return _report(path, _rows(content), text)


def _report(path: Path, rows: list[list[str]], text: str) -> VendorReport:
    version = re.search(r"Vivado v\.(\d[\w.]*)", text)
    state = re.search(r"^\|\s*Design State\s*:\s*(\w[\w ]*?)\s*$", text, re.MULTILINE)
    release = f"Vivado {version[1]}" if version else "Vivado"
    stage = state[1].lower() if state else "unknown"
    total = _flat(path, rows)
    header = _header(rows)
    parts = _hierarchy(path, rows, header) if header is not None else []
    if not total and not parts:
        raise UserError(f"{path} is no utilization report of Vivado: it has no table of LUTs with rows.")
    # The first row of a hierarchy is its top.
    return VendorReport("vivado", release, stage, total or parts[0][1], tuple(parts))


def _rows(content: bytes) -> list[list[str]]:
    """Return the cells of the lines of tables."""
    lines = content.decode(errors="replace").splitlines()
    return [line.strip().strip("|").split("|") for line in lines if line.lstrip().startswith("|")]


def _flat(path: Path, rows: Iterable[Sequence[str]]) -> Usage:
    found: dict[str, float] = {}
    for row in rows:
        if len(row) < 3:
            continue
        title = re.sub(r"\*+$", "", row[0].strip())
        for resource, titles in _FLAT.items():
            if title in titles and resource not in found:
                found[resource] = number(path, row[1].strip(), title)
    return found if "lut" in found else {}


def _header(rows: Sequence[Sequence[str]]) -> int | None:
    """Return which row heads the hierarchy."""
    for place, row in enumerate(rows):
        if [cell.strip() for cell in row[:2]] == ["Instance", "Module"]:
            return place
    return None


def _hierarchy(path: Path, rows: Sequence[Sequence[str]], header: int) -> list[tuple[str, Usage]]:
    """Return what instances take, by name; with a row for what a module holds beside its instances, in parentheses."""
    titles = [cell.strip() for cell in rows[header]]
    columns = {
        resource: next((titles.index(name) for name in names if name in titles), None)
        for resource, names in _COLUMNS.items()
    }
    if columns["lut"] is None:
        raise UserError(f"{path}: the hierarchy has no column of total LUTs; make it with report_utilization.")
    found: list[tuple[str, Usage]] = []
    for row in rows[header + 1 :]:
        if len(row) != len(titles):
            # The next table.
            break
        name = row[0].strip()
        values = {
            resource: number(path, re.sub(r"\(.*\)$", "", row[column].strip()), f"{titles[column]} of {name}")
            for resource, column in columns.items()
            if column is not None
        }
        if "ramb36" in values or "ramb18" in values:
            values["bram36"] = values.pop("ramb36", 0.0) + values.pop("ramb18", 0.0) / 2
        found.append((name, values))
    return found


def _local(tag: object) -> str:
    """Return the name of an element without its namespace."""
    return str(tag).rpartition(":")[2].rpartition("}")[2]
