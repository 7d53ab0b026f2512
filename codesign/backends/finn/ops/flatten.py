"""Frame to vector: no layer, as channels come fastest already."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import Unit


def write(place: FinnPlace) -> None:
    """Add the node, which FINN removes."""
    place.end(place.add("Flatten", [place.read(np.float32)], place.shape(place.y), np.float32, axis=1))


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers: none."""
    return []
