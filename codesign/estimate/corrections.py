"""A user's own calibration: what reports of a tool say beside the estimates, as text, and the ratio of the two.

A file for each tool and family lies in `./calibration`, or where `$CODESIGN_CALIBRATION` says. It holds the numbers of
every report, so that one can be taken out by hand; the fit that travels with the package is not touched.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from codesign import tomlfile
from codesign.errors import UserError
from codesign.estimate.model import RESOURCES, Fit
from codesign.files import atomic_write

Tool = Literal["vivado", "vitis-hls", "finn", "finn-estimate"]
TOOLS: tuple[Tool, ...] = ("vivado", "vitis-hls", "finn", "finn-estimate")
DESIGNS = {
    "vivado": "the rtl design",
    "vitis-hls": "the hls4ml design",
    "finn": "FINN's design",
    "finn-estimate": "FINN's design",
}
"""What the reports of a tool are of."""
SAME_DESIGN: Tool = "vivado"
"""The tool whose reports are of the hardware that is estimated."""
LEAST_NODES = 5
"""From so many on, the errors that are left after the correction tell how wide intervals must be."""
FARTHEST = 10.0
"""A ratio beyond it, or below one through it, is taken for a report of something else."""
LEAST = {"lut": 1.0, "ff": 1.0, "bram36": 10.0, "dsp": 10.0}
"""Of fewer estimated cells of a report its ratio says nothing: a block more or less is no factor for other networks."""

_Count = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one report says, beside the estimate of the same design.

    Attributes
    ----------
    file, sha256 : str
        Name without folder, and digest.
    release, stage : str
        As the report tells them.
    model, board, options : str
        What was estimated.
    fit : str
        Digest of the fit, see `digest`.
    nodes : list of str
        Nodes that the report has under their names; none where only the totals can be compared.
    measured, estimated : dict of str to list of float
        By resource, for every node; one number where there are none. Resources that the report does not tell are left
        out.
    """

    file: str
    sha256: str
    release: str
    stage: str
    model: str
    board: str
    options: str
    fit: str
    nodes: list[str]
    measured: dict[str, list[_Count]]
    estimated: dict[str, list[_Count]]

    def __post_init__(self) -> None:
        for values in (self.measured, self.estimated):
            if values.keys() != self.measured.keys() or not values.keys() <= set(RESOURCES):
                raise ValueError("the field 'measured' and 'estimated' must have the same resources")
            if any(len(each) != max(1, len(self.nodes)) for each in values.values()):
                raise ValueError("the field 'nodes' must have as many entries as each list of numbers")


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file.

    Attributes
    ----------
    tool : str
    family : str
        Of boards.
    report : list of Report
    """

    tool: Tool
    family: str
    report: list[Report] = []


@dataclass(frozen=True)
class Correction:
    """What estimates are multiplied by.

    Parameters
    ----------
    path : Path
        The file that says so.
    tool : str
    releases : sequence of str
        Of the tool.
    factors : mapping of str to float
        By resource; 1 where no report tells one, see `tells`.
    telling : mapping of str to int
        By resource, how many reports tell its factor.
    uncorrected : mapping of str to str
        Resources whose factor no report tells, and why.
    wider : mapping of str to float
        For "lut" and "ff": intervals are this many times as wide, at least once.
    reports, nodes : int
    """

    path: Path
    tool: Tool
    releases: Sequence[str]
    factors: dict[str, float]
    telling: dict[str, int]
    uncorrected: dict[str, str]
    wider: dict[str, float]
    reports: int
    nodes: int

    @property
    def words(self) -> str:
        """The factors, and what there is none for."""
        told = []
        for name, factor in self.factors.items():
            if name in self.uncorrected:
                told.append(f"{name.upper()} not ({self.uncorrected[name]})")
            elif self.telling[name] < self.reports:
                told.append(f"{name.upper()} × {factor:.3f} (by {self.telling[name]} of {self.reports} reports)")
            else:
                told.append(f"{name.upper()} × {factor:.3f}")
        return ", ".join(told)


def folder() -> Path:
    """Return where calibrations of a user lie."""
    chosen = os.environ.get("CODESIGN_CALIBRATION")
    return Path(chosen) if chosen else Path.cwd() / "calibration"


def path(tool: Tool, family: str) -> Path:
    """Return the file of a tool for a family of boards."""
    return folder() / f"{tool}-{family}.toml"


def digest(fit: Fit) -> str:
    """Return what tells a fit from others."""
    return hashlib.sha256(msgspec.json.encode(fit)).hexdigest()[:16]


def read(file: Path) -> Calibration:
    """Return what a file says.

    Raises
    ------
    UserError
        When it cannot be read or is no such file.
    """
    return tomlfile.read(file, Calibration)


def joined(tool: Tool, family: str, new: Sequence[Report], fit: Fit) -> Calibration:
    """Return what the file of a tool says with more reports; one that is there already, by its content, is replaced.

    Nothing is written, see `write`.

    Raises
    ------
    UserError
        When the file that is there cannot be read, is of something else, or was made with another fit.
    """
    file = path(tool, family)
    kept = _checked(file, tool, family, fit).report if file.exists() else []
    fresh = {each.sha256: each for each in new}
    reports = [*(each for each in kept if each.sha256 not in fresh), *fresh.values()]
    return Calibration(tool=tool, family=family, report=reports)


def write(file: Path, calibration: Calibration) -> None:
    """Write a file, whole or not at all."""
    lines = [
        "# What reports of a tool say beside the estimates of codesign, written by codesign calibrate --from-report.",
        "# Estimates are corrected by the ratio of all that is measured to all that is estimated.",
        "# Delete a [[report]] to leave it out, or this file to have no correction.",
        f"tool = {_text(calibration.tool)}",
        f"family = {_text(calibration.family)}",
    ]
    for report in calibration.report:
        lines += ["", "[[report]]"]
        for name in ("file", "sha256", "release", "stage", "model", "board", "options", "fit"):
            lines.append(f"{name} = {_text(getattr(report, name))}")
        lines.append(f"nodes = [{', '.join(map(_text, report.nodes))}]")
        for name in ("measured", "estimated"):
            lines += ["", f"[report.{name}]"]
            for resource, values in getattr(report, name).items():
                lines.append(f"{resource} = [{', '.join(repr(float(value)) for value in values)}]")
    atomic_write(file, "\n".join(lines) + "\n")


def found(family: str) -> list[Tool]:
    """Return the tools that there is a file of for a family."""
    return [tool for tool in TOOLS if path(tool, family).is_file()]


def load(tool: Tool, family: str, fit: Fit) -> Correction:
    """Return the correction of a tool.

    Raises
    ------
    UserError
        When there is none, it has no reports, or it belongs to another fit.
    """
    file = path(tool, family)
    if not file.is_file():
        raise UserError(
            f"there are no reports of {tool} for {family} in {folder()}; see codesign calibrate --from-report."
        )
    calibration = _checked(file, tool, family, fit)
    if not calibration.report:
        raise UserError(f"{file} has no reports; add one by codesign calibrate --from-report, or delete the file.")
    return correction(file, calibration, fit)


def _checked(file: Path, tool: Tool, family: str, fit: Fit) -> Calibration:
    """Return what a file says; raise `UserError` when it is of something else."""
    calibration = read(file)
    if (calibration.tool, calibration.family) != (tool, family):
        raise UserError(f"{file} is of {calibration.tool} for {calibration.family}; give it the name of these.")
    if any(report.fit != digest(fit) for report in calibration.report):
        raise UserError(
            f"{file} was made with another fit of the estimates; delete it and give the reports to codesign calibrate "
            "--from-report again, or estimate with --sizes-of yosys."
        )
    return calibration


def of_same_design(family: str, fit: Fit) -> Correction | None:
    """Return the correction by reports of the hardware that is estimated, None where there are no such reports.

    Raises
    ------
    UserError
        As `load` does.
    """
    return load(SAME_DESIGN, family, fit) if path(SAME_DESIGN, family).is_file() else None


def correction(file: Path, calibration: Calibration, fit: Fit) -> Correction:
    """Return what reports amount to."""
    reports = calibration.report
    telling = {name: [each for each in reports if tells(each, name)] for name in RESOURCES}
    sums = {name: _sums(telling[name], name) for name in RESOURCES}
    factors = {name: sums[name][0] / sums[name][1] if telling[name] else 1.0 for name in RESOURCES}
    return Correction(
        path=file,
        tool=calibration.tool,
        releases=sorted({report.release for report in reports}),
        factors=factors,
        telling={name: len(telling[name]) for name in RESOURCES},
        uncorrected={name: _why(reports, name) for name in RESOURCES if not telling[name]},
        wider={name: _wider(name, reports, factors[name], fit) for name in ("lut", "ff")},
        reports=len(reports),
        nodes=sum(len(report.nodes) for report in reports),
    )


def tells(report: Report, name: str) -> bool:
    """Return whether a report tells by how much estimates of a resource are off.

    It does not when it says nothing of it, too few cells are estimated, see `LEAST`, or those of other hardware are too
    far off, see `FARTHEST`.
    """
    measured, estimated = _sums([report], name)
    return estimated >= LEAST[name] and 1 / FARTHEST <= measured / estimated <= FARTHEST


def _why(reports: Sequence[Report], name: str) -> str:
    """Return why no report tells how much estimates of a resource are off."""
    having = [each for each in reports if name in each.measured]
    if not having:
        return "no report has it"
    few = [_sums([each], name)[1] < LEAST[name] for each in having]
    reason = "too few" if all(few) else "too few or too far off" if any(few) else "too far off"
    measured, estimated = _sums(having, name)
    return f"{measured:,.10g} in reports, {estimated:,.10g} estimated: {reason}{' in each' * (len(having) > 1)}"


def _sums(reports: Sequence[Report], name: str) -> tuple[float, float]:
    """Return how much of a resource reports have, and how much is estimated beside it."""
    return (
        math.fsum(one for each in reports for one in each.measured.get(name, ())),
        math.fsum(one for each in reports for one in each.estimated.get(name, ())),
    )


def _wider(name: str, reports: Sequence[Report], factor: float, fit: Fit) -> float:
    """Return how much larger errors of nodes are after the correction than those that the fit was made with."""
    spread = fit.lut_spread if name == "lut" else fit.ff_spread
    shares = [
        (measured - factor * estimated) / (factor * estimated + spread.floor)
        for report in reports
        if report.nodes and tells(report, name)
        for measured, estimated in zip(report.measured[name], report.estimated[name], strict=True)
    ]
    if len(shares) < LEAST_NODES or not spread.deviation:
        return 1.0
    return max(1.0, math.sqrt(math.fsum(share * share for share in shares) / len(shares)) / spread.deviation)


def _text(value: str) -> str:
    """Return a TOML string; JSON's escapes are TOML's too."""
    return json.dumps("".join(c if c.isprintable() else " " for c in value), ensure_ascii=False)
