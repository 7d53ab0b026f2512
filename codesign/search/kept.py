"""Measurements that take long, kept in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from codesign.files import atomic_write

T = TypeVar("T")


def measured(path: Path, kind: type[T], measure: Callable[[], T]) -> T:
    """Return the measurement of a file, or measure and write it where there is none that can be read.

    Parameters
    ----------
    path : Path
        Its name tells what the measurement depends on.
    kind : type
        A dataclass of numbers, arrays, mappings and such dataclasses, as in `codesign.search.measurements`.
    measure : callable
        JSON keeps each of its numbers to the last bit, as long as they are finite.

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind, dec_hook=_array)
    except (OSError, ValueError):
        pass
    made = measure()
    atomic_write(path, msgspec.json.encode(made, enc_hook=_list))
    return made


def _list(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not kept")


def _array(kind: type, value: Any) -> Any:
    if kind is not np.ndarray:
        raise TypeError(f"{kind.__name__} is not kept")
    array = np.array(value, dtype=float)
    if not isinstance(value, list) or not np.all(np.isfinite(array)):
        raise ValueError("no list of finite numbers")
    return array
