"""Maximum over windows."""

from __future__ import annotations

from codesign.backends.qonnx.place import Place


def write(place: Place) -> None:
    """Add the node."""
    (x,) = place.node.inputs
    place.finish(
        place.add(
            "MaxPool",
            [x],
            place.shape(place.y),
            place.document.dtype(x),
            kernel_shape=list(place.op.kernel),
            strides=list(place.op.stride),
        )
    )
