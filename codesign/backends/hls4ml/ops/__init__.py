"""One file per operator of the integer graph: the kernel that computes it.

Each file is named like the operator and has ``kernel(place) -> Kernel``, ``reuse_factors(place) -> list of
int``, the legal steps per output, and ``needed(place) -> list of ndarray``, for every input the tokens read
when each token is written. A kernel that reads its inputs in another order than the operator names them says so
in ``READ_ORDER``, and one that takes in frames without being asked for output says how many in ``FRAMES_HELD``.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from codesign.backends.hls4ml.fifo import Reads
from codesign.backends.hls4ml.kernels import Place


def by_name() -> dict[str, ModuleType]:
    """Return the files of this folder by operator name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def reads(place: Place) -> Reads:
    """Return how the kernel of a node reads its inputs."""
    module = by_name()[place.node.op.name]
    order = getattr(module, "READ_ORDER", range(len(place.node.inputs)))
    return Reads(module.needed(place), order, getattr(module, "FRAMES_HELD", 0))
