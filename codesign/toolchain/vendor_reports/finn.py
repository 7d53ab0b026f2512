"""FINN's reports of layers: ``estimate_layer_resources.json`` and ``post_synth_resources.json`` of its build flow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codesign.errors import UserError
from codesign.toolchain.vendor_reports.usage import Usage, VendorReport, number

_FIELDS = {"LUT": "lut", "FF": "ff", "DSP": "dsp", "DSP48": "dsp"}
_TOTALS = ("(top)", "total")
_KEYS = frozenset({*_FIELDS, "BRAM_18K", "BRAM_36K", "BRAM", "URAM", "SRL", "LUTRAM", "Carry"})
_MEMORIES = {"BRAM_18K": 0.5, "BRAM_36K": 1.0}
"""Block memories of 36 Kib in one of each."""


def recognises(content: bytes) -> bool:
    """Return whether a file has this format: an object of layers, one of which has lookup tables."""
    return content.lstrip().startswith(b"{")


def read(path: Path, content: bytes) -> VendorReport:
    """Read it.

    Raises
    ------
    UserError
        When it is another file, or damaged.
    """
    try:
        found = json.loads(content, parse_constant=_refused, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no valid JSON: {str(error)[:80]}.") from error
    layers = {name: layer for name, layer in found.items() if isinstance(layer, dict) and _KEYS & layer.keys()}
    if not any("LUT" in layer for layer in layers.values()):
        raise UserError(f"{path} is no resource report of FINN: none of its entries is a layer with LUT.")
    parts = {name: _usage(path, layer, name) for name, layer in layers.items()}
    total = next((parts[name] for name in _TOTALS if name in parts), {})
    synthesised = "(top)" in parts or any("FF" in layer for layer in layers.values())
    stage = "synthesis" if synthesised else "estimate"
    own = tuple((name, usage) for name, usage in parts.items() if name not in _TOTALS)
    return VendorReport("finn" if synthesised else "finn-estimate", "FINN", stage, total, own)


def _usage(path: Path, layer: dict[str, Any], name: str) -> Usage:
    found: dict[str, float] = {}
    for key, resource in _FIELDS.items():
        if key in layer:
            found[resource] = number(path, layer[key], f"{key} of {name}")
    memories = [number(path, layer[key], f"{key} of {name}") * each for key, each in _MEMORIES.items() if key in layer]
    if memories:
        found["bram36"] = sum(memories)
    return found


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes up twice in one object")
    return found
