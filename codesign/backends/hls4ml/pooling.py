"""What the pooling operators share: the members of their configuration struct."""

from __future__ import annotations

from typing import cast

from codesign.backends.hls4ml.kernels import Kernel, Place
from codesign.ir.ops import MaxPool, SumPool


def kernel(place: Place, function: str) -> Kernel:
    """Return the kernel of a pooling operator."""
    op = cast("MaxPool | SumPool", place.node.op)
    config: dict[str, int | str] = {
        "in_height": place.x.shape[0],
        "in_width": place.x.shape[1],
        "channels": place.x.shape[2],
        "out_height": place.y.shape[0],
        "out_width": place.y.shape[1],
        "kernel_height": op.kernel[0],  # type: ignore[index]
        "kernel_width": op.kernel[1],  # type: ignore[index]
        "stride_height": op.stride[0],  # type: ignore[index]
        "stride_width": op.stride[1],  # type: ignore[index]
    }
    return Kernel(function, config)
