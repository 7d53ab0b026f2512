"""Elementwise sum."""

from __future__ import annotations

from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.place import Place


def write(place: Place) -> None:
    """Add the node."""
    types = [place.y.type, *(tensor.type for tensor in place.graph.input_edges(place.node))]
    dtype = place.carrier(max(map(datatypes.magnitude, types)), "its sum")
    place.finish(place.add("Add", [place.read(dtype, 0), place.read(dtype, 1)], place.shape(place.y), dtype))
