"""A table that takes long to measure, kept in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from codesign.files import atomic_write
from codesign.search.measurements import Table


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The numbers of a `Table`; JSON keeps each to the last bit."""

    weights: dict[str, dict[str, list[list[float]]]]
    activations: dict[str, list[float]]


def kept_table(path: Path, measure: Callable[[], Table]) -> Table:
    """Return the table of a file, or measure and write it where there is none that can be read.

    Parameters
    ----------
    path : Path
        Its name tells what the table depends on.
    measure : callable

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        return Table(
            {kind: {name: np.array(rows) for name, rows in layers.items()} for kind, layers in kept.weights.items()},
            {name: np.array(row) for name, row in kept.activations.items()},
        )
    except (OSError, ValueError):
        pass
    table = measure()
    weights = {kind: {name: rows.tolist() for name, rows in layers.items()} for kind, layers in table.weights.items()}
    kept = _Kept(weights, {name: row.tolist() for name, row in table.activations.items()})
    atomic_write(path, msgspec.json.encode(kept))
    return table
