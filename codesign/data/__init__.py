"""Data sets by name. Every module of this folder without a leading underscore is one data set.

Adding a data set is adding a file with `INFO: Info` and a function `load() -> Dataset`.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from types import ModuleType

from codesign.data._types import Dataset, Info
from codesign.errors import UserError

__all__ = ["Dataset", "Info", "info", "load", "names"]


def names() -> list[str]:
    """Return the names of all data sets, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def info(name: str) -> Info:
    """Return what is known of a data set without its files.

    Raises
    ------
    UserError
        When there is no such data set.
    """
    described: Info = _module(name).INFO
    return described


@functools.lru_cache(maxsize=2)
def load(name: str) -> Dataset:
    """Load a data set by name; the arrays are read-only.

    Raises
    ------
    UserError
        When there is no such data set, or its files are absent and cannot be downloaded.
    """
    dataset: Dataset = _module(name).load()
    for array in (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test):
        array.setflags(write=False)
    return dataset


def _module(name: str) -> ModuleType:
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? Known" if close else "known"
        raise UserError(f"there is no data set '{name}'; {hint}: {', '.join(known)}.")
    return importlib.import_module(f"{__name__}.{name}")
