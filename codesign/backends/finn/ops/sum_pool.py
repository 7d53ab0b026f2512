"""Sum over windows: an accumulating pool for whole frames, an average pool that keeps every bit for square windows."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import BASE_LUTS, Candidate, Layer, Unit, divisors, windowed
from codesign.backends.qonnx.document import GENERAL
from codesign.ir.ops import SumPool


def write(place: FinnPlace) -> None:
    """Add the node."""
    op: SumPool = place.op
    x = place.read(np.float32)
    if is_whole(op, place.x.shape):
        place.end(place.add("ReduceSum", [x], place.shape(place.y), np.float32, axes=[1, 2], keepdims=1))
        return
    (height, width), (down, right) = op.kernel, op.stride  # type: ignore[misc]
    if height != width or down != right or height < down:
        place.refuse("FINN sums square windows without gaps, or whole frames")
    bits = place.bits_in  # FINN drops the bits that the output lacks of a sum of its own stream
    place.end(
        place.add(
            "QuantAvgPool2d",
            [x],
            place.shape(place.y),
            np.float32,
            domain=GENERAL,
            kernel=height,
            stride=down,
            ibits=bits,
            obits=sum_bits(bits, height),
            signed=int(place.x.type.signed),
            data_layout="NHWC",
        )
    )


def is_whole(op: SumPool, shape: tuple[int, ...]) -> bool:
    """Tell whether one window is the whole frame."""
    return op.kernel == shape[:2]


def sum_bits(bits: int, kernel: int) -> int:
    """Return the bits that QuantAvgPool2d accumulates in: with as many at its output, it drops none."""
    return max(2, (((1 << bits) - 1) * kernel * kernel).bit_length())


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers."""
    op: SumPool = place.op
    if is_whole(op, place.x.shape):
        return [_accumulator(place)]
    layer = Layer("Pool", "hls", {"Channels": place.x.channels})
    bits = place.bits_in, place.bits_out
    lane = 2 * place.bits_out
    return [windowed(place.x.shape, op.kernel, op.stride, bits, layer, lane)]  # type: ignore[arg-type]


def _accumulator(place: FinnPlace) -> Unit:
    channels, pixels = place.x.channels, place.x.size // place.x.channels
    candidates = tuple(
        Candidate(
            (p,), p, channels // p * (pixels + 1), {"lut": BASE_LUTS + channels * place.bits_out / 2}, ({"PE": p},)
        )
        for p in divisors(channels)
    )
    layer = Layer("GlobalAccPool", "hls", {"NumChannels": channels})
    return Unit((layer,), candidates, place.bits_out, (place.x.size,))
