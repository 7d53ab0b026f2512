"""Set up the virtual environment `.venv-finn` with FINN, and do nothing when it is ready.

Usage: python3 .ci/finn.py

FINN's pins are not ours, so it has an environment of its own, which codesign calls. Standard library only.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("FINN needs Python 3.11 or newer; install one, then: make finn PYTHON=python3.11")

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-finn"
PYTHON = VENV / "bin" / "python"
NOTE = VENV / "codesign-finn.txt"
REQUIREMENTS = ROOT / ".ci" / "finn.txt"
FINN = "finn-plus==1.6.1"
CHECK = "import finn.builder.build_dataflow_config, qonnx.core.modelwrapper"


def main() -> None:
    """Bring the environment to the state that `finn.txt` asks for."""
    with open(REQUIREMENTS, "rb") as lock:
        # Two makes at once would otherwise install into the same folder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = hashlib.sha256(lock.read() + FINN.encode()).hexdigest()
        if NOTE.is_file() and NOTE.read_text(encoding="utf-8") == digest and _works():
            return
        if not PYTHON.exists():
            print(f"Creating {VENV.name} with Python {sys.version.split()[0]} ...", file=sys.stderr, flush=True)
            if subprocess.run([sys.executable, "-m", "venv", VENV], check=False).returncode != 0:
                shutil.rmtree(VENV, ignore_errors=True)
                sys.exit("could not create a virtual environment; on Debian and Ubuntu: apt-get install python3-venv")
        print(f"Installing {FINN} into {VENV.name} ...", file=sys.stderr, flush=True)
        _install("--requirement", str(REQUIREMENTS))
        _install("--no-deps", FINN)
        if not _works():
            sys.exit(f"{FINN} was installed and does not start; remove {VENV.name} and try again.")
        NOTE.write_text(digest, encoding="utf-8")


def _install(*arguments: str) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", *arguments]
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
        sys.exit("the installation failed (see above); it needs the Python package index the first time.")


def _works() -> bool:
    try:
        return subprocess.run([PYTHON, "-I", "-c", CHECK], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
