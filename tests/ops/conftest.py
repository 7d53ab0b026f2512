"""What the operator tests share."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign import boards
from codesign.backends import hls4ml, rtl
from codesign.ir import Graph, golden
from codesign.toolchain import verilator
from codesign.verify.compare import VerifyResult, compare
from codesign.verify.frames import random_frames

sys.path.insert(0, str(Path(__file__).parent))

Verify = Callable[..., VerifyResult]


PREFIX = """\
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <math.h>
#include <vector>
#include "ap_fixed.h"
#include "ap_int.h"
#include "hls_stream.h"
"""


@pytest.fixture(scope="session")
def precompiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a g++ that knows the integer types already, which halves the hundreds of compilations."""
    import hls4ml as library

    folder = tmp_path_factory.mktemp("compiler")
    compiler = shutil.which("g++")
    assert compiler is not None, "the tests need g++"
    (folder / "prefix.h").write_text(PREFIX)
    types = Path(library.__file__).parent / "templates" / "vivado" / "ap_types"
    subprocess.run(
        [compiler, "-std=c++11", "-O0", "-w", "-I", types, "-x", "c++-header", "prefix.h", "-o", "prefix.h.gch"],
        cwd=folder,
        check=True,
    )
    wrapper = folder / "g++"
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.quote(compiler)} -include "{folder}/prefix.h" "$@"\n')
    wrapper.chmod(0o755)
    return folder


@pytest.fixture(autouse=True)
def fast_compiler(precompiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the projects of these tests find the precompiled g++."""
    monkeypatch.setenv("PATH", str(precompiled), prepend=os.pathsep)


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    """Emit, compile (unoptimised, which is the fastest here) and simulate a graph; compare every edge."""

    def check(
        graph: Graph, frames: int = 24, seed: int = 0, x: np.ndarray | None = None, **options: Any
    ) -> VerifyResult:
        project = hls4ml.emit(graph, boards.load("pynq-z2"), tmp_path / "project", vectors=1, **options)
        if x is None:
            x = random_frames(graph, frames, seed)
        found = project.run(x, trace=True, optimise=False)
        assert set(found) == set(graph.edges)
        return compare(graph, golden.run(graph, x, trace=True), found)

    return check


@pytest.fixture
def verify_rtl(tmp_path: Path) -> Callable[..., None]:
    """Emit RTL and simulate it with and without random pauses; every edge is golden's, the cycles are as promised."""
    if verilator.locate() is None:
        pytest.skip("Verilator is missing; it comes with the extra rtl")

    def check(graph: Graph, cycles: int, seed: int = 0, board: str = "pynq-z2", **options: Any) -> None:
        project = rtl.emit(graph, boards.load(board), tmp_path / "project", cycles=cycles, **options)
        x = random_frames(graph, 12, seed)
        expected = golden.run(graph, x, trace=True)
        for pauses in ((0, 0), (60, 60), (10, 200)):
            found = project.simulate(x, trace=True, pauses=pauses, seed=seed + 1, fast=False)
            result = compare(graph, expected, found.edges)
            assert result.tensors == len(graph.nodes)
            assert result.differences == 0, f"pauses {pauses}: {result.first_difference}"
        counted = project.count_cycles(x, fast=False)
        assert counted, counted.sentence

    return check
