"""What the operator tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign import boards
from codesign.backends import hls4ml
from codesign.ir import Graph
from codesign.verify.compare import VerifyResult, compare
from codesign.verify.frames import random_frames

sys.path.insert(0, str(Path(__file__).parent))

Verify = Callable[..., VerifyResult]


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    """Emit, compile (unoptimised, which is the fastest here) and simulate a graph; compare every edge."""
    from codesign.ir import golden

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
