"""One file per operator: the folds that it can take, and the blocks of `hw/rtl` that it becomes.

A file has ``folds(node, graph)``, which yields every `Fold`, and ``unit(node, graph, fold)``, which returns the
`Unit`.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def names() -> list[str]:
    """Return the operators that the backend has."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__))


def module(name: str) -> ModuleType:
    """Return the file of an operator."""
    return importlib.import_module(f"{__name__}.{name}")
