"""Index of the largest logit: TopK of one."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace


def write(place: FinnPlace) -> None:
    """Add the node."""
    one = place.document.constant(place.name, np.array([1], dtype=np.int64))
    largest = place.document.unread(place.name, place.shape(place.y), np.float32)
    place.end(
        place.add(
            "TopK",
            [place.read(np.float32), one],
            place.shape(place.y),
            np.int64,
            before=[largest],
            axis=-1,
            largest=1,
            sorted=1,
        )
    )
