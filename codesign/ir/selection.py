"""What the operators share whose constants are chosen frame by frame through an index edge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.ir.operator import Operator, require
from codesign.ir.tensor import Tensor


def check_index(index: Tensor, entries: int, name: str) -> None:
    """Check the edge that chooses among `entries` sets of constants.

    Raises
    ------
    OperatorError
        When it is no single unsigned integer per frame, or its type reaches beyond the last entry.
    """
    require(index.shape == (1,), f"the index of {name} has the shape (1,), not {index.shape}")
    require(not index.type.signed, f"the index of {name} is unsigned, not {index.type}")
    require(
        index.type.max < entries,
        f"the index of {name} is {index.type} and reaches {index.type.max}, beyond {entries} entries; "
        "repeat the last entry up to a power of two",
    )


def execute_selected(choices: Sequence[Operator], x: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the outputs of a batch, each frame computed by the operator its index chooses.

    Parameters
    ----------
    choices : sequence of Operator
        One for each entry; they keep the shape of `x`.
    x : ndarray of int64, shape (frames, …)
    index : ndarray of int64, shape (frames, 1)
    """
    y = np.empty(x.shape, dtype=np.int64)
    for entry in np.unique(index):
        chosen = index[:, 0] == entry
        y[chosen] = choices[entry].execute(x[chosen])
    return y
