"""Index of the largest logit: TopK of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import Unit, per_lane


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


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers."""
    labels = place.x.channels
    bits = place.bits_in, place.bits_out
    unit = per_lane("LabelSelect", "hls", {"Labels": labels, "K": 1}, labels, 1, bits, 2 * place.bits_in)
    return [replace(unit, candidates=tuple(replace(each, lanes_out=1) for each in unit.candidates))]
