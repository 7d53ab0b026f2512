"""The float model in float64 with its frozen constants against the golden executor (numeric contract, point 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from codesign.zoo import Model


@dataclass(frozen=True)
class Float64Result:
    """Outcome of the comparison.

    Parameters
    ----------
    differences : int
        Integers of re-quantised edges that differ.
    integers, tensors, vectors : int
        Integers, edges and frames compared.
    first_edge : str or None
        First differing edge of the graph before its passes ran.
    """

    differences: int
    integers: int
    tensors: int
    vectors: int
    first_edge: str | None


def verify_float64(model: Model, x: np.ndarray, advance: Callable[[int], None] | None = None) -> Float64Result:
    """Compare every quantiser's integers of a model of the zoo, in float64 and by the golden executor.

    Parameters
    ----------
    model : Model
        With a trained checkpoint.
    x : ndarray of int, shape (frames, *input shape)
    advance : callable, optional
        Told the number of frames done, for a progress bar.

    Raises
    ------
    UserError
        When the model is float or its checkpoint is missing or damaged.
    """
    compare = _differences(model)
    wrong = integers = 0
    edges: dict[str, int] = {}
    batch = 50
    for start in range(0, len(x), batch):
        piece = x[start : start + batch]
        for edge, different, size in compare(piece):
            edges[edge] = edges.get(edge, 0) + different
            wrong += different
            integers += size
        if advance is not None:
            advance(len(piece))
    first = next((edge for edge, different in edges.items() if different), None)
    return Float64Result(wrong, integers, len(edges), len(x), first)


def _differences(model: Model) -> Callable[[np.ndarray], Iterator[tuple[str, int, int]]]:
    if model.framework == "qkeras":
        from codesign.frontends import qkeras_reference

        qkeras = model.imported_qkeras()
        return lambda x: qkeras_reference.differences(qkeras, x)
    from codesign.frontends import brevitas_reference

    brevitas = model.imported()
    return lambda x: brevitas_reference.differences(brevitas, x)
