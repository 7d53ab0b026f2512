"""`conv2d`: a window and a matrix-vector unit; for one channel a group, a depthwise unit of several lanes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import cast

import numpy as np

from codesign.backends.rtl import mac, memory
from codesign.backends.rtl.divisors import divisors
from codesign.backends.rtl.timing import Every, Gather
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.backends.rtl.windows import Window
from codesign.ir import Graph, Node, Tensor
from codesign.ir.ops import Conv2d
from codesign.ir.types import weight_bits


def folds(node: Node, graph: Graph) -> Iterator[Fold]:
    """Yield every fold."""
    op = cast(Conv2d, node.op)
    if _is_depthwise(op):
        for lanes in divisors(op.groups):
            yield Fold(lanes)
        return
    taps = op.kernel[0] * op.kernel[1]
    (x,) = graph.input_edges(node)
    yield from mac.folds(op.weight.shape[2], op.weight.shape[3] // op.groups, op.groups, taps, x.type.bits)


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of a convolution."""
    op, (x,), y = cast(Conv2d, node.op), graph.input_edges(node), graph.edges[node.name]
    window = _window(op, x, y, fold.spare)
    if _is_depthwise(op):
        return _depthwise(op, x, y, window, fold.pe)
    if op.kernel == (1, 1) and not any(op.padding):  # type: ignore[arg-type]
        return _pointwise(op, x, y, fold)
    return mac.unit(op, x, y, window, fold)


def _is_depthwise(op: Conv2d) -> bool:
    return op.depthwise and op.weight.shape[3] == op.groups


def _window(op: Conv2d, x: Tensor, y: Tensor, spare: int) -> Window:
    top, _, left, _ = cast(tuple[int, int, int, int], op.padding)
    (rows, columns, _), (rows_out, columns_out, _) = x.shape, y.shape
    stride = cast(tuple[int, int], op.stride)
    return Window(rows, columns, rows_out, columns_out, op.kernel, stride, top, left, spare)


def _pointwise(op: Conv2d, x: Tensor, y: Tensor, fold: Fold) -> Unit:
    """A pixel is a frame of its own: none is kept for the next, and those between strides are dropped."""
    pixels = y.shape[0] * y.shape[1]
    inner = mac.unit(op, x, y, Window(1, 1, 1, 1, spare=fold.spare), fold)
    sieve = None if op.stride == (1, 1) else functools.partial(_subsample, op, x, y)
    return Unit(inner.blocks, inner.lanes_in, inner.lanes_out, inner.cycles * pixels, sieve, luts=inner.luts)


def _subsample(op: Conv2d, x: Tensor, y: Tensor, lanes: int) -> Block:
    """Return what drops the pixels between strides."""
    (height, width), words = cast(tuple[int, int], op.stride), x.shape[2] // lanes
    parameters: dict[str, int | bool | str] = {
        "WIDTH": lanes * x.type.bits,
        "ROWS_IN": x.shape[0],
        "COLUMNS_IN": x.shape[1],
        "FOLD": words,
        "STRIDE_H": height,
        "STRIDE_W": width,
        "ROWS_OUT": y.shape[0],
        "COLUMNS_OUT": y.shape[1],
    }
    kept = np.zeros((*x.shape[:2], words), dtype=bool)
    kept[: (y.shape[0] - 1) * height + 1 : height, : (y.shape[1] - 1) * width + 1 : width] = True
    return Block("subsample", parameters, lanes * x.type.bits, Gather(np.flatnonzero(kept), kept.size, 0))


def _depthwise(op: Conv2d, x: Tensor, y: Tensor, window: Window, lanes: int) -> Unit:
    values = op.values()
    taps, fold, bits = op.kernel[0] * op.kernel[1], x.shape[2] // lanes, weight_bits(values)
    table = values.reshape(taps, fold, lanes).transpose(1, 0, 2).reshape(-1, lanes)
    files = {"weights": functools.partial(memory.words, table, bits)}
    if op.bias is not None:
        files["biases"] = functools.partial(memory.words, op.bias.reshape(-1, lanes), y.type.bits)
    parameters: dict[str, int | bool | str] = {
        "LANES": lanes,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "W": bits,
        "ACC": y.type.bits,
        "TAPS": taps,
        "FOLD": fold,
        "BIAS": op.bias is not None,
        "WEIGHTS": "weights",
        "BIASES": "biases" if op.bias is not None else "",
        "STYLE": mac.rom_style(fold * taps, lanes * bits),
    }
    walk, cycles = window.serial(lanes * x.type.bits, fold, fold, 1)
    blocks = [walk, Block("depthwise", parameters, lanes * y.type.bits, Every(taps, 3), files=files)]
    return Unit(blocks, (lanes,), lanes, cycles)
