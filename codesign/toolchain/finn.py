"""FINN, in a Python environment of its own: its releases of other packages are not ours."""

from __future__ import annotations

import os
from pathlib import Path

from codesign.toolchain.find import Tool
from codesign.toolchain.run import run

VARIABLE = "CODESIGN_FINN_PYTHON"
"""Names the Python of an environment with FINN, where it is another than the one that `make finn` sets up."""
ENVIRONMENT = ".venv-finn"

_VERSION = "import importlib.metadata as m; print(m.version('finn-plus'))"


def locate() -> Tool | None:
    """Return the Python that has FINN, and FINN's release; None where there is none.

    Looked for are what the variable `VARIABLE` names, the environment in the current folder, and the one of this
    checkout.
    """
    for python in _candidates():
        if not python.is_file():
            continue
        asked = run([python, "-I", "-c", _VERSION], timeout_s=60)
        if asked.returncode == 0:
            return Tool("finn-plus", python, asked.output.strip())
    return None


def _candidates() -> list[Path]:
    named = os.environ.get(VARIABLE)
    if named:
        return [Path(named)]
    checkout = Path(__file__).resolve().parents[2]
    return [folder / ENVIRONMENT / "bin" / "python" for folder in (Path.cwd(), checkout)]
