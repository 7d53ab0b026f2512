"""Quantisation methods, one per file.

A method is a module with `weight(bits, per_channel)` and `activation(bits, signed)`, which return
Brevitas quantizers. Adding a method is adding a file.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from types import ModuleType

from codesign.errors import UserError

# What the folder holds besides methods.
_PARTS = {"brevitas_layers", "layers", "qkeras_runtime", "widths"}


def names() -> list[str]:
    """Return the names of all quantisation methods, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _PARTS)


def method(name: str) -> ModuleType:
    """Return the module of a quantisation method.

    Raises
    ------
    UserError
        When there is none of that name.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? Known" if close else "known"
        raise UserError(f"there is no quantisation method '{name}'; {hint}: {', '.join(known)}.")
    return importlib.import_module(f"{__name__}.{name}")
