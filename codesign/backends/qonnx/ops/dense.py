"""Fully connected layer: a matrix product, in float64 where a float32 would not hold the sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.place import Place
from codesign.ir.ops import Dense


def write(place: Place) -> None:
    """Add the nodes: the product, and the bias."""
    op: Dense = place.op
    values = op.values()
    bound = int(np.abs(values).sum(axis=0).max()) * datatypes.magnitude(place.x.type)
    if op.bias is not None:
        bound += max(abs(int(b)) for b in op.bias)
    dtype = place.carrier(max(bound, datatypes.magnitude(place.x.type)), "its sum")
    shape = place.shape(place.y)
    weights = place.constant(values, dtype, datatypes.of_weights(values))
    products = replace(op, bias=None).infer(place.x).type
    y = place.add("MatMul", [place.read(dtype), weights], shape, dtype, datatype=datatypes.name(products))
    if op.bias is not None:
        y = place.add("Add", [y, place.constant(op.bias, dtype, datatypes.of_values(op.bias))], shape, dtype)
    place.finish(y)
