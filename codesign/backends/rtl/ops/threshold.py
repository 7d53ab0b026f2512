"""`threshold`: all comparisons at once."""

from __future__ import annotations

import numpy as np

from codesign.backends.rtl import elementwise, mac, memory
from codesign.backends.rtl.elementwise import folds as folds
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.ir import Graph, IntType, Node
from codesign.ir.ops import Threshold


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of thresholds."""
    op, (x,), y = node.op, graph.input_edges(node), graph.edges[node.name]
    assert isinstance(op, Threshold)
    # Beyond the input's range all thresholds are alike: always reached, or never.
    table = np.clip(op.thresholds, x.type.min, x.type.max + 1)
    bits = IntType.for_range(min(x.type.min, -1), x.type.max + 1).bits
    rows = elementwise.by_word(table, fold.pe)
    parameters: dict[str, int | bool | str] = {
        "LANES": fold.pe,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "T": bits,
        "COUNT": table.shape[1],
        "OFFSET": op.offset,
        "Y": y.type.bits,
        "FOLD": len(rows),
        "THRESHOLDS": "thresholds",
        "STYLE": mac.rom_style(len(rows), fold.pe * table.shape[1] * bits),
    }
    files = {"thresholds": memory.words(rows.reshape(len(rows), -1), bits)}
    words = elementwise.words(node, graph, fold)
    block = Block("threshold", parameters, fold.pe * y.type.bits, Every(1, 3), files=files)
    return Unit([block], (fold.pe,), fold.pe, words)
