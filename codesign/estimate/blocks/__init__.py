"""One file for each module of `hw/rtl`, under its name: what an instance is made of.

A file has ``census(block)``, and ``LUT`` and ``FF``: names of what it counts, each with the lookup tables or flip-flops
that one of it takes by what is known of the cells. A fit moves these numbers only where measurements ask for it.
``ABSORBS``, where there is one, is what `Technology.absorbs` must be for a design to have the module, ``SERIAL`` that
`Technology.serial` must hold.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType


@functools.cache
def names() -> frozenset[str]:
    """Return the modules that there are files for."""
    return frozenset(info.name for info in pkgutil.iter_modules(__path__))


@functools.cache
def module(name: str) -> ModuleType:
    """Return the file of a module.

    Raises
    ------
    KeyError
        When there is none.
    """
    if name not in names():
        raise KeyError(f"nothing is known of what the module {name} takes")
    return importlib.import_module(f"{__name__}.{name}")
