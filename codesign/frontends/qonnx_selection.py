"""ArgMax and TopK at the end of a QONNX graph."""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qonnx_file import Node
from codesign.frontends.qonnx_requantize import Open
from codesign.frontends.qonnx_stream import INTEGERS, Stream
from codesign.frontends.requantize import Affine
from codesign.frontends.values import ALIGNING_BITS, common_divisor
from codesign.ir.ops import ArgMax, Dyadic
from codesign.ir.types import IntType

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk

_BIAS_BITS = 40
_WAY_OUT = "let the network end in its logits, and take the largest on the host"


def arg_max(walk: Walk, node: Node) -> Stream:
    """Lower an ArgMax over features."""
    where = walk.where(node)
    x = walk.features(node, 0)
    if node.attribute("axis", 0) not in (1, -1) or node.attribute("select_last_index", 0):
        raise UserError(f"{where} is not over the features, or takes the last of equals; use axis=1 and the first.")
    return _largest(walk, x, node)


def top_k(walk: Walk, node: Node) -> Stream:
    """Lower the indices of a TopK with k = 1 over features."""
    where = walk.where(node)
    x = walk.features(node, 0)
    count = walk.constant(node, 1).values
    if count.size != 1 or int(count.reshape(-1)[0]) != 1 or not node.attribute("largest", 1):
        raise UserError(f"{where} takes others than the one largest, which is not supported; {_WAY_OUT}.")
    if node.attribute("axis", -1) not in (1, -1) or len(node.outputs) != 2 or not node.outputs[1]:
        raise UserError(f"{where} is not over the features, or returns no index; {_WAY_OUT}.")
    return _largest(walk, x, node)


def _largest(walk: Walk, x: Stream, node: Node) -> Stream:
    where = walk.where(node)
    x = walk.linear(x, node)
    if x.order is not None:
        raise UserError(f"{where} compares flattened frames in another order; put a dense layer before it.")
    edge = x.edge
    scale = x.affines[0].scale
    if scale <= 0 or any(a != Affine(scale, x.affines[0].offset) for a in x.affines):
        edge = _aligned(walk, x, where, node.label)
    if x.actual(walk.edge(x).type).error.any() and x.root.error.any():
        walk.open.append(Open(node.label, 1, 1))  # equal sums, which float32 may round differently
    made = walk.lowering.add_operator(ArgMax(), edge, label=node.label)
    return Stream(made, (Affine(Fraction(1)),), INTEGERS, (), "NF")


def _aligned(walk: Walk, x: Stream, where: str, label: str) -> str:
    """Bring features to one exact scale, biases included."""
    unit = functools.reduce(common_divisor, (part for a in x.affines for part in (a.scale, a.offset)), Fraction(0))
    if unit == 0:
        raise UserError(f"{where} compares constants; train the network first.")
    multiplier, bias = ([int(getattr(a, part) / unit) for a in x.affines] for part in ("scale", "offset"))
    wide = max(map(abs, multiplier)) >= 1 << ALIGNING_BITS or max(map(abs, bias)) >= 1 << _BIAS_BITS
    if wide:
        raise UserError(f"{where} compares logits whose scales or biases have no small common step; {_WAY_OUT}.")
    m, b = (np.array(values, dtype=np.int64) for values in (multiplier, bias))
    type = walk.edge(x).type
    ends = np.stack([m * type.min + b, m * type.max + b])
    op = Dyadic(m, b, np.zeros_like(m), IntType.for_range(int(ends.min()), int(ends.max())))
    return walk.lowering.add_operator(op, x.edge, label=label)
