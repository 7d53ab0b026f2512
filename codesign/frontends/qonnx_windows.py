"""Windows of convolutions and pools: kernel, stride and padding as ONNX nodes give them."""

from __future__ import annotations

from dataclasses import dataclass

from codesign.errors import UserError
from codesign.frontends.qonnx_file import Node

MAX_EXTENT = 1 << 16
"""Largest kernel, stride or padding."""


@dataclass(frozen=True)
class Window:
    """Where an operator looks.

    Parameters
    ----------
    kernel, stride, dilation : (int, int)
    padding : (int, int, int, int)
        Top, bottom, left, right.
    channelwise : bool
        Whether what reads the windows may look at each channel alone.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]
    channelwise: bool = False


POINT = Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0))
"""The window of a single pixel."""


def window(node: Node, frame: tuple[int, ...], kernel: tuple[int, int] | None, where: str) -> Window:
    """Read the window of a node on frames (height, width, ...).

    Parameters
    ----------
    kernel : (int, int) or None
        What the weights say.

    Raises
    ------
    UserError
        When it is not two-dimensional, or makes no sense.
    """
    shape = _pair(node, "kernel_shape", list(kernel) if kernel else [], where)
    if kernel is not None and shape != kernel:
        raise UserError(f"{where} has a kernel_shape of {shape} and weights of {kernel}; export the network again.")
    stride, dilation = _pair(node, "strides", [1, 1], where), _pair(node, "dilations", [1, 1], where)
    pads = node.attribute("pads", [0, 0, 0, 0])
    if len(pads) != 4 or any(not 0 <= int(p) <= MAX_EXTENT for p in pads):
        raise UserError(f"{where} has pads of {pads[:8]}; use four that are not negative.")
    padding = (int(pads[0]), int(pads[2]), int(pads[1]), int(pads[3]))
    auto = node.attribute("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        padding = _same(frame, shape, stride, dilation, auto == "SAME_LOWER")
    elif auto == "VALID":
        padding = (0, 0, 0, 0)
    elif auto != "NOTSET":
        raise UserError(f"{where} has an unknown auto_pad {auto[:20]!r}; use pads.")
    reach = [(k - 1) * d + 1 for k, d in zip(shape, dilation, strict=True)]
    if any(frame[i] + padding[2 * i] + padding[2 * i + 1] < reach[i] for i in range(2)):
        raise UserError(f"{where} has a window of {tuple(reach)} on frames of {frame[:2]}; use a smaller one.")
    return Window(shape, stride, dilation, padding)


def padded_shape(frame: tuple[int, ...], padding: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Return the shape (height, width, ...) of frames with padding around them."""
    return (frame[0] + padding[0] + padding[1], frame[1] + padding[2] + padding[3], *frame[2:])


def _same(
    frame: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], first: bool
) -> tuple[int, int, int, int]:
    """Return the padding of auto_pad: as many outputs as strides, an odd row or column last or first."""
    ends: list[int] = []
    for extent, k, s, d in zip(frame, kernel, stride, dilation, strict=False):
        total = max((-(-extent // s) - 1) * s + (k - 1) * d + 1 - extent, 0)
        small, large = total // 2, total - total // 2
        ends += [large, small] if first else [small, large]
    return ends[0], ends[1], ends[2], ends[3]


def _pair(node: Node, name: str, default: list[int], where: str) -> tuple[int, int]:
    values = node.attribute(name, default)
    if len(values) != 2 or any(not isinstance(v, int) or not 1 <= v <= MAX_EXTENT for v in values):
        raise UserError(f"{where} needs two positive numbers as {name}, not {list(values)[:8]}.")
    return int(values[0]), int(values[1])
