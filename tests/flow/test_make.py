"""The Makefile: targets, names that no shell ever parses, and an environment that needs no network twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

in_checkout = pytest.mark.skipif(
    Path(sys.prefix).resolve() != (ROOT / ".venv").resolve(), reason="not run from the checkout's own environment"
)


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MODEL")}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env={**settings, **environment}, capture_output=True, text=True
    )


def test_help_lists_every_target():
    listed = re.findall(r"^  make (\S+)", make("help").stdout, re.MULTILINE)
    targets = "synth csim verify search report test test-all lint wheel clean finn help"
    assert set(targets.split()) <= set(listed)


def test_a_model_must_be_named():
    for target in ("synth", "csim", "verify", "search", "report"):
        asked = make(target)
        assert asked.returncode != 0
        assert f"make {target} MODEL=" in asked.stderr


@in_checkout
@pytest.mark.parametrize(
    "name",
    [
        '"; touch pwned; "',
        "$(shell touch pwned)",
        "`touch pwned`",
        "$$(touch pwned)",
        "a b",
        "--help",
        "'; touch pwned; '",
    ],
)
def test_names_never_meet_a_shell(name: str):
    told = make("synth", f"MODEL={name}", "BOARD=" + name, PIP_NO_INDEX="1")
    assert told.returncode != 0
    assert "there is no model" in told.stderr
    assert not (ROOT / "pwned").exists()


@in_checkout
def test_a_ready_environment_needs_no_network():
    ready = make("env", PIP_NO_INDEX="1", PIP_FIND_LINKS="/nonexistent")
    assert (ready.returncode, ready.stdout, ready.stderr) == (0, "", "")
