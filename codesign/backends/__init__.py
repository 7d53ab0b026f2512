"""Integer graphs to hardware projects: one folder per backend, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from codesign import names as _names

if TYPE_CHECKING:
    from codesign.backends.base import Backend


def names() -> list[str]:
    """Return the backends of this installation, sorted: every package in this folder."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__) if info.ispkg)


def load(name: str) -> Backend:
    """Return a backend by name.

    Raises
    ------
    UserError
        For an unknown name (with the closest ones).
    """
    module = importlib.import_module(f"{__name__}.{_names.check('backend', name, names())}")
    return cast("Backend", module)
