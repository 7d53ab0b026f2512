"""Frame to vector, channels fastest: frames of ONNX have them first."""

from __future__ import annotations

from codesign.backends.qonnx.place import Place


def write(place: Place) -> None:
    """Add the nodes."""
    (x,) = place.node.inputs
    dtype = place.document.dtype(x)
    if len(place.x.shape) == 3 and place.x.shape[:2] != (1, 1):
        x = place.add("Transpose", [x], (1, *place.x.shape), dtype, perm=[0, 2, 3, 1])
    place.finish(place.add("Flatten", [x], place.shape(place.y), dtype, axis=1))
