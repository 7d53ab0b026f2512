"""Elementwise sum."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace


def write(place: FinnPlace) -> None:
    """Add the node."""
    place.end(place.add("Add", [place.read(np.float32, 0), place.read(np.float32, 1)], place.shape(place.y), np.float32))
