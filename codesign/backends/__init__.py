"""Integer graphs to hardware projects: one folder per backend, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, cast

from codesign.errors import UserError

if TYPE_CHECKING:
    from codesign.backends.base import Backend


def names() -> list[str]:
    """Return the names of all backends."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__) if info.ispkg)


def load(name: str) -> Backend:
    """Return a backend.

    Raises
    ------
    UserError
        When there is none of that name.
    """
    if name not in names():
        raise UserError(f"there is no backend {name!r}; known: {', '.join(names())}.")
    return cast("Backend", importlib.import_module(f"{__name__}.{name}"))
