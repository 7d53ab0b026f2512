"""One file per operator that FINN has layers for: ``write(place)`` adds its nodes.

What FINN's layers are and how far each may be laid out in parallel is in `codesign.backends.finn.layers`.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def by_name() -> dict[str, ModuleType]:
    """Return the files of this folder by operator name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}
