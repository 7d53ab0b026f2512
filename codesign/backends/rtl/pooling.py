"""What pooling operators share: partial results of a row of outputs, or a window where windows overlap."""

from __future__ import annotations

import numpy as np

from codesign.backends.rtl.timing import Every, Gather
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.backends.rtl.windows import Window
from codesign.ir import Graph, Node
from codesign.ir.pooling import Pool


def unit(node: Node, graph: Graph, fold: Fold, greatest: bool) -> Unit:
    """Return the hardware of a maximum (`greatest`) or of a sum over windows."""
    op, (x,), y = node.op, graph.input_edges(node), graph.edges[node.name]
    assert isinstance(op, Pool) and isinstance(op.kernel, tuple) and isinstance(op.stride, tuple)
    lanes = fold.pe
    words = x.channels // lanes
    about: dict[str, int | bool | str] = {
        "LANES": lanes,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "MAX": greatest,
        "Y": y.type.bits,
    }
    if op.kernel == op.stride:
        place = {
            "ROWS_IN": x.shape[0],
            "COLUMNS_IN": x.shape[1],
            "FOLD": words,
            "KERNEL_H": op.kernel[0],
            "KERNEL_W": op.kernel[1],
        }
        order = np.arange(x.size // lanes).reshape(*x.shape[:2], words)
        last = order[op.kernel[0] - 1 :: op.kernel[0], op.kernel[1] - 1 :: op.kernel[1]].reshape(-1)
        block = Block("pool_rows", about | place, lanes * y.type.bits, Gather(last, order.size, 1))
        return Unit([block], (lanes,), lanes, x.size // lanes)
    window = Window(*x.shape[:2], *y.shape[:2], op.kernel, op.stride)
    taps = op.kernel[0] * op.kernel[1]
    taps_of = window.serial(lanes * x.type.bits, words, words, 1)
    blocks = [taps_of, Block("reduce", about | {"COUNT": taps}, lanes * y.type.bits, Every(taps, 1))]
    return Unit(blocks, (lanes,), lanes, taps_of.timing.busy())
