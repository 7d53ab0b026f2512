"""The float model in float64 with its frozen constants against the golden executor (numeric contract, point 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from codesign.frontends.witness import OUTPUT
from codesign.verify.compare import FirstDifference, VerifyResult

if TYPE_CHECKING:
    from codesign.zoo import Model

BATCH = 50
"""Frames compared at once."""


def verify_float64(model: Model, x: np.ndarray, advance: Callable[[int], None] | None = None) -> VerifyResult:
    """Compare every quantiser's integers and the output of a model of the zoo, in float64 and by golden.

    Parameters
    ----------
    model : Model
        With a trained checkpoint.
    x : ndarray of int, shape (frames, *input shape)
    advance : callable, optional
        Told the number of frames done, for a progress bar.

    Returns
    -------
    VerifyResult
        Of the quantisers' edges in the graph before its passes ran, by their names there, and of the output of the
        graph that goes to the hardware, named "output"; expected is the float64 model's integer.

    Raises
    ------
    UserError
        When the model is float or its checkpoint is missing or damaged.
    """
    compared = _compared(model)
    wrong = integers = 0
    edges: set[str] = set()
    first: FirstDifference | None = None
    for start in range(0, len(x), BATCH):
        piece = x[start : start + BATCH]
        for edge, expected, found in compared(piece):
            edges.add(edge)
            integers += expected.size
            unequal = expected != found
            wrong += int(np.count_nonzero(unequal))
            if first is None and unequal.any():
                element = tuple(int(axis) for axis in np.unravel_index(int(unequal.argmax()), unequal.shape))
                kind = "output" if edge == OUTPUT else "quantiser"
                where = (element[0] + start, *element[1:])
                first = FirstDifference(edge, kind, "", where, int(expected[element]), int(found[element]))
        if advance is not None:
            advance(len(piece))
    return VerifyResult(wrong, len(x), len(edges), integers, first)


def _compared(model: Model) -> Callable[[np.ndarray], Iterator[tuple[str, np.ndarray, np.ndarray]]]:
    if model.framework == "qkeras":
        from codesign.frontends import qkeras_reference

        qkeras = model.imported_qkeras()
        return lambda x: qkeras_reference.compared(qkeras, x)
    from codesign.frontends import brevitas_reference

    brevitas = model.imported()
    return lambda x: brevitas_reference.compared(brevitas, x)
