"""Maximum over windows."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import Layer, Unit, windowed
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


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers."""
    op: MaxPool = place.op
    layer = Layer("Pool", "hls", {"Channels": place.x.channels})
    bits = place.bits_in, place.bits_out
    lane = 2 * place.bits_in
    return [windowed(place.x.shape, op.kernel, op.stride, bits, layer, lane)]  # type: ignore[arg-type]
