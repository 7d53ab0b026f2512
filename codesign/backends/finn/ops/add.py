"""Elementwise sum."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import Unit, per_lane


def write(place: FinnPlace) -> None:
    """Add the node."""
    if len(set(place.node.inputs)) == 1:
        place.refuse("FINN adds no stream to itself")
    place.end(
        place.add("Add", [place.read(np.float32, 0), place.read(np.float32, 1)], place.shape(place.y), np.float32)
    )


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers."""
    channels, vectors = place.y.channels, place.y.size // place.y.channels
    attributes = {"lhs_style": "input", "rhs_style": "input"}
    bits = place.bits_in, place.bits_out
    return [per_lane("ElementwiseAdd", "hls", attributes, channels, vectors, bits, place.bits_out, operands=2)]
