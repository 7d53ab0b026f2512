"""Importing a QONNX file in a test and comparing it with the executor."""

from __future__ import annotations

import numpy as np

from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import Imported, convert
from codesign.frontends.qonnx_reference import compared
from codesign.ir import IntType

from .qonnx_networks import Maker

INT6 = IntType(6, signed=True)
UINT4 = IntType(4, signed=False)


def agree(
    data: bytes,
    type: IntType = INT6,
    scale: float | None = 1.0,
    x: np.ndarray | None = None,
    opens: bool = False,
    **options,
) -> Imported:
    """Import a file and compare it with the executor on frames that a row of integers or random ones make."""
    found = convert(qonnx_file.loads(data), input_type=type, input_scale=scale, **options)
    shape = found.graph.input.shape
    batch = found.file.shape[0] or 1
    if x is None:
        x = np.random.default_rng(0).integers(type.min, type.max + 1, size=(2 * batch, *shape))
        x[0], x[-1] = type.min, type.max
    expected, integers = compared(found, data, x)
    assert (expected == integers).all()
    assert len(np.unique(integers)) > 1, "a constant output shows nothing"
    assert opens or not found.open
    return found


def every(type: IntType) -> np.ndarray:
    """Every integer of a type, one per frame."""
    return np.arange(type.min, type.max + 1, dtype=np.int64)[:, None]


def row(m: Maker, x: str = "x") -> str:
    """Integers that meet a dense layer of weight 1: an accumulator."""
    return m.node("MatMul", x, m.const([[1.0]]))


def single(type: IntType) -> Maker:
    return Maker((type.max - type.min + 1, 1))
