"""What pooling operators share: partial results of a row of outputs, or a window where windows overlap."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.rtl.timing import Every, Gather
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.backends.rtl.windows import Window
from codesign.ir import Graph, Node
from codesign.ir.pooling import Pool


def unit(node: Node, graph: Graph, fold: Fold, greatest: bool) -> Unit:
    """Return the hardware of a maximum (`greatest`) or of a sum over windows."""
    op, (x,), y = cast(Pool, node.op), graph.input_edges(node), graph.edges[node.name]
    kernel, stride = cast(tuple[int, int], op.kernel), cast(tuple[int, int], op.stride)
    (rows, columns, _), (rows_out, columns_out, _) = x.shape, y.shape
    lanes = fold.pe
    words = x.channels // lanes
    about: dict[str, int | bool | str] = {
        "LANES": lanes,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "MAX": greatest,
        "Y": y.type.bits,
    }
    if kernel == stride:
        place: dict[str, int | bool | str] = {
            "ROWS_IN": rows,
            "COLUMNS_IN": columns,
            "FOLD": words,
            "KERNEL_H": kernel[0],
            "KERNEL_W": kernel[1],
        }
        order = np.arange(x.size // lanes).reshape(rows, columns, words)
        last = order[kernel[0] - 1 :: kernel[0], kernel[1] - 1 :: kernel[1]].reshape(-1)
        block = Block("pool_rows", about | place, lanes * y.type.bits, Gather(last, order.size, 1))
        return Unit([block], (lanes,), lanes, x.size // lanes)
    window = Window(rows, columns, rows_out, columns_out, kernel, stride, spare=fold.spare)
    taps = kernel[0] * kernel[1]
    walk, cycles = window.serial(lanes * x.type.bits, words, words, 1)
    blocks = [walk, Block("reduce", about | {"COUNT": taps}, lanes * y.type.bits, Every(taps, 1))]
    return Unit(blocks, (lanes,), lanes, cycles)
