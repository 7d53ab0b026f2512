"""One file per operator of the integer graph: ``write(place)`` adds its nodes to a document, channels first."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def by_name() -> dict[str, ModuleType]:
    """Return the files of this folder by operator name, in alphabetical order."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}
