"""Integer programs by HiGHS, as SciPy has it, without words of its own on standard output.

At rare turns HiGHS prints a line for its developers, whatever its options say; what a command prints for scripts must
not hold it.

References
----------
Huangfu and Hall, Parallelizing the dual revised simplex method, Mathematical Programming Computation, 2018 (HiGHS).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


def milp(*arguments: Any, **options: Any) -> Any:
    """Return what `scipy.optimize.milp` returns."""
    from scipy.optimize import milp as solve

    with _silent():
        return solve(*arguments, **options)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Lead what this process writes to standard output, past Python too, to nowhere."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        # There is none.
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
