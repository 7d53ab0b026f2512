"""One file per operator of the integer graph: the kernel that computes it.

Each file is named like the operator and has ``kernel(place) -> Kernel``, ``reuse_factors(place) -> list of
int``, the legal steps per output, and ``needed(place) -> list of ndarray``, for every input the tokens read
when each token is written.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def by_name() -> dict[str, ModuleType]:
    """Return the files of this folder by operator name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}
