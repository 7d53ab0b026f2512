"""Constants that the index of a frame chooses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.backends.qonnx.place import Place


def gather(place: Place, entries: np.ndarray, datatype: str | None = None) -> str:
    """Return the entry (1, …) of an array (entries, …) that the second edge of a node chooses."""
    index = reshape(place, place.cast(place.node.inputs[1], np.int64), (1,))
    table = place.document.constant(place.name, entries, datatype)
    return place.add("Gather", [table, index], (1, *entries.shape[1:]), entries.dtype.type, datatype=datatype, axis=0)


def reshape(place: Place, tensor: str, shape: Sequence[int]) -> str:
    """Return a tensor in another shape."""
    extents = place.document.constant(place.name, np.array(shape, dtype=np.int64))
    return place.add("Reshape", [tensor, extents], tuple(shape), place.document.dtype(tensor))
