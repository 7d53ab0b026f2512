"""Maximum over windows."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.qonnx.document import GENERAL
from codesign.ir.ops import MaxPool


def write(place: FinnPlace) -> None:
    """Add the node."""
    op: MaxPool = place.op
    (height, width), (down, right) = op.kernel, op.stride  # type: ignore[misc]
    if height < down or width < right:
        place.refuse("FINN pools no windows with gaps between them")
    place.end(
        place.add(
            "MaxPoolNHWC",
            [place.read(np.float32)],
            place.shape(place.y),
            np.float32,
            domain=GENERAL,
            kernel_shape=[height, width],
            strides=[down, right],
            pads=[0, 0, 0, 0],
        )
    )
