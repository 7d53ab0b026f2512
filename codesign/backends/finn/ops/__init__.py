"""One file per operator that FINN has layers for.

``write(place)`` adds its nodes to a document, ``units(place)`` says which layers FINN makes of them and how far each
may be laid out in parallel, in the terms of `codesign.backends.finn.units`.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def by_name() -> dict[str, ModuleType]:
    """Return the files of this folder by operator name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}
