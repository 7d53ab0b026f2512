"""`dyadic`: a multiply, a constant, a shift and a clamp."""

from __future__ import annotations

import numpy as np

from codesign.backends.rtl import elementwise, mac, memory
from codesign.backends.rtl.elementwise import folds as folds
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.ir import Graph, IntType, Node
from codesign.ir.ops import Dyadic
from codesign.ir.types import weight_bits


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of a dyadic re-quantisation."""
    op, (x,), y = node.op, graph.input_edges(node), graph.edges[node.name]
    assert isinstance(op, Dyadic)
    constant = op.bias + op.half
    wide = op.intermediate_type(x)
    m, c = weight_bits(op.multiplier), weight_bits(constant)
    s = max(1, int(op.shift.max()).bit_length())
    # {shift, constant, multiplier} as one field of an entry, which may exceed 64 bits: a row of bits.
    entry = np.concatenate([_bits(op.multiplier, m), _bits(constant, c), _bits(op.shift, s)], axis=1)
    rows = elementwise.by_word(entry, fold.pe)
    # The clamp compares with both limits, which need not lie in the range of the sums.
    bits = IntType.for_range(min(wide.min, y.type.min, -1), max(wide.max, y.type.max)).bits
    parameters: dict[str, int | bool | str] = {
        "LANES": fold.pe,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "M": m,
        "C": c,
        "S": s,
        "WIDE": bits,
        "Y": y.type.bits,
        "LOW": y.type.min,
        "HIGH": y.type.max,
        "FOLD": len(rows),
        "CONSTANTS": "constants",
        "STYLE": mac.rom_style(len(rows), fold.pe * entry.shape[1]),
    }
    files = {"constants": memory.words(rows.reshape(len(rows), -1), 1)}
    words = elementwise.words(node, graph, fold)
    block = Block("dyadic", parameters, fold.pe * y.type.bits, Every(1, 4), files=files)
    return Unit([block], (fold.pe,), fold.pe, words)


def _bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the lowest bits of each value, the lowest first: shape (values, bits)."""
    return (values[:, None] >> np.arange(bits)) & 1
