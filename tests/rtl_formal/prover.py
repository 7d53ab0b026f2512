"""Proofs by Yosys: a module of hw/formal, k-induction over its assertions, and whether its assumptions hold at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codesign.toolchain.yosys import Yosys

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "hw" / "rtl"
FORMAL = ROOT / "hw" / "formal"

PROVED, REFUTED, OPEN = "proved", "refuted", "open"

Fault = tuple[str, str]
"""Text of the module or one of its parts, and what stands in its place."""


@dataclass(frozen=True)
class Proof:
    """Properties of a module for one choice of parameters.

    Parameters
    ----------
    module : str
        Of hw/rtl; its properties are in hw/formal/MODULE_properties.sv.
    parameters : mapping of str to int or str
    parts : tuple of str
        Other modules, of hw/rtl, or of hw/formal where the name says so: "arbitrary/rom".
    files : mapping of str to str
        Memory files.
    steps : int
        Clocks after which the search for a counterexample ends.
    """

    module: str
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    steps: int = 40

    def __str__(self) -> str:
        values = "-".join(f"{key.lower()}{value}" for key, value in self.parameters.items())
        return f"{self.module}-{values}" if values else self.module


@dataclass(frozen=True)
class Outcome:
    """What Yosys found.

    Parameters
    ----------
    verdict : {"proved", "refuted", "open"}
        The assertions hold in every clock of every run; a run breaks one; neither was found.
    steps : int
        Length of the induction, or of the run that breaks an assertion.
    assertions : int
        In one clock.
    """

    verdict: str
    steps: int
    assertions: int


def prove(yosys: Yosys, proof: Proof, folder: Path) -> Outcome:
    """Prove the assertions by k-induction: k clocks from the start break none, nor does any clock after k others."""
    return _solve(yosys, proof, folder, "-tempinduct -prove-asserts")


def attack(yosys: Yosys, proof: Proof, folder: Path, fault: Fault | None = None) -> Outcome:
    """Look for a run that breaks an assertion about the ports alone, in the module with a fault."""
    outside = Proof(proof.module, {**proof.parameters, "INSIDE": 0}, proof.parts, proof.files, proof.steps)
    return _solve(yosys, outside, folder, "-tempinduct -tempinduct-baseonly -prove-asserts", fault)


def reach(yosys: Yosys, proof: Proof, folder: Path) -> Outcome:
    """Look for a run in which `reached` is high: there is one if the assumptions can be met."""
    return _solve(yosys, proof, folder, "-tempinduct -tempinduct-baseonly -prove reached 0")


def _solve(yosys: Yosys, proof: Proof, folder: Path, question: str, fault: Fault | None = None) -> Outcome:
    folder.mkdir(parents=True, exist_ok=True)
    top = f"{proof.module}_properties"
    sources = [FORMAL / f"{top}.sv", LIBRARY / f"{proof.module}.sv"]
    sources += [(FORMAL if "/" in part else LIBRARY) / f"{part}.sv" for part in proof.parts]
    for source in (*sources, *FORMAL.glob("*.svh")):
        shutil.copyfile(source, folder / source.name)
    if fault is not None:
        old, new = fault
        texts = {source.name: source.read_text() for source in sources[1:]}
        times = {name: text.count(old) for name, text in texts.items() if old in text}
        assert list(times.values()) == [1], f"{old!r} stands in {times or 'no module'}"
        (name,) = times
        (folder / name).write_text(texts[name].replace(old, new))
    for name, content in proof.files.items():
        (folder / name).write_text(content)
    values = " ".join(
        f"-G{key}={value}" if isinstance(value, int) else f'-G{key}="\\"{value}\\""'
        for key, value in proof.parameters.items()
    )
    yosys.script(
        folder,
        f"read_slang --threads 1 --top {top} {values} {' '.join(source.name for source in sources)}\n"
        f"prep -top {top} -flatten\nchformal -lower\nmemory_map\nopt_clean\n"
        f"sat -set-assumes -maxsteps {proof.steps} -show-inputs -show-regs {question}\n",
        timeout_s=3600,
    )
    log = (folder / "yosys.log").read_text()
    cases = re.findall(r"^\[(?:base case|induction step) (\d+)\]", log, re.MULTILINE)
    first = log.split("[base case 1]")[0]
    if "Induction step proven: SUCCESS!" in log:
        verdict = PROVED
    elif "model found for base case: FAIL!" in log:
        verdict = REFUTED
    else:
        assert "Reached maximum number of time steps" in log, log[-2000:]
        verdict = OPEN
    return Outcome(verdict, int(cases[-1]), first.count("Import proof for assert"))
