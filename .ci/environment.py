"""Set up the virtual environment `.venv` of this checkout, and do nothing when it is ready.

Usage: python3 .ci/environment.py [EXTRA ...]

Installs the package in place with the named extras of pyproject.toml. What was installed is noted in the
environment, so later calls return at once and need no network. Standard library only; the version check
below must be reached by old Pythons too, hence the plain syntax above it.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "codesign needs Python 3.11 or newer, and %s is %d.%d; install one, then: make PYTHON=python3.11 ..."
        % (sys.executable, sys.version_info[0], sys.version_info[1])
    )

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
NOTE = VENV / "codesign-environment.json"

# Run inside the environment: exit code 0 when every requirement given on standard input is there.
_SATISFIED = """
import importlib.metadata as metadata, json, pathlib, sys
from pip._vendor.packaging.requirements import Requirement
for text in json.load(sys.stdin):
    wanted = Requirement(text)
    if wanted.marker and not wanted.marker.evaluate():
        continue
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        sys.exit(1)
    if not wanted.specifier.contains(found, prereleases=True):
        sys.exit(1)
origin = json.loads(metadata.distribution("codesign").read_text("direct_url.json") or "{}")
sys.exit(0 if origin.get("dir_info", {}).get("editable") else 1)
"""


def main(extras: Iterable[str]) -> None:
    """Bring the environment to the state that pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = project["project"]["optional-dependencies"]
    for extra in extras:
        if extra not in known:
            sys.exit(f"pyproject.toml has no extra '{extra}'; it has {', '.join(known)}.")
    with open(ROOT / "pyproject.toml", encoding="utf-8") as lock:
        # Two makes at once would otherwise install into the same folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = _read_note()
        wanted = sorted({*extras, *note["extras"]} & known.keys())
        digest = _digest(project, wanted)
        if note["digest"] == digest and _works():
            return
        if not _works():
            _create()
        if not _satisfied(project, wanted):
            _install(wanted)
        NOTE.write_text(json.dumps({"digest": digest, "extras": wanted}) + "\n", encoding="utf-8")


def _digest(project: dict[str, Any], extras: list[str]) -> str:
    """Fingerprint of everything that decides what gets installed."""
    metadata = project["project"]
    parts = [
        project["build-system"],
        metadata["dependencies"],
        metadata["scripts"],
        {extra: metadata["optional-dependencies"][extra] for extra in extras},
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read_note() -> dict[str, Any]:
    try:
        note = json.loads(NOTE.read_text(encoding="utf-8"))
        return {"digest": str(note["digest"]), "extras": list(note["extras"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"digest": "", "extras": []}


def _works() -> bool:
    """Whether the environment has a Python that starts (a system upgrade can break it) and pip."""
    try:
        check = subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False)
    except OSError:
        return False
    return check.returncode == 0


def _create() -> None:
    print(f"Creating {VENV.name} with Python {sys.version.split()[0]} ...", file=sys.stderr, flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", VENV], check=False).returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit("could not create a virtual environment; on Debian and Ubuntu: apt-get install python3-venv")


def _satisfied(project: dict[str, Any], extras: list[str]) -> bool:
    metadata = project["project"]
    requirements = [*metadata["dependencies"]]
    for extra in extras:
        requirements += metadata["optional-dependencies"][extra]
    check = subprocess.run(
        [PYTHON, "-c", _SATISFIED],
        input=json.dumps(requirements),
        text=True,
        capture_output=True,
        check=False,
    )
    return check.returncode == 0 and all((VENV / "bin" / name).exists() for name in metadata["scripts"])


def _install(extras: list[str]) -> None:
    target = f".[{','.join(extras)}]" if extras else "."
    print(f"Installing codesign{target[1:]} into {VENV.name} ...", file=sys.stderr, flush=True)
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--editable", target]
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
        sys.exit("the installation failed (see above); it needs the Python package index the first time.")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
