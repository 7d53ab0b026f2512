"""Sum over windows: a depthwise convolution with ones, as ONNX has averages only, whose division rounds."""

from __future__ import annotations

import numpy as np

from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.place import Place
from codesign.ir.exact import FLOAT32_EXACT
from codesign.ir.ops import SumPool


def write(place: Place) -> None:
    """Add the node."""
    op: SumPool = place.op
    if max(map(datatypes.magnitude, (place.x.type, place.y.type))) > FLOAT32_EXACT:
        place.refuse(f"ONNX Runtime convolves float32, which does not hold {place.y.type}; re-quantise before it")
    height, width = op.kernel  # type: ignore[misc]
    channels = place.x.channels
    ones = place.constant(np.ones((channels, 1, height, width)), np.float32, "INT2")
    place.finish(
        place.add(
            "Conv",
            [place.read(np.float32), ones],
            place.shape(place.y),
            np.float32,
            group=channels,
            kernel_shape=[height, width],
            strides=list(op.stride),  # type: ignore[arg-type]
            pads=[0, 0, 0, 0],
            dilations=[1, 1],
        )
    )
