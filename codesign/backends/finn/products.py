"""The matrix-vector units of convolutions and fully connected layers."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn import accumulators
from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import Product, Unit, per_lane, product
from codesign.ir.types import weight_bits

NARROWEST = 4
"""Bits of inputs and weights from which on FINN multiplies in DSP blocks."""
WIDEST_INPUT, WIDEST_WEIGHT, WIDEST_SUM = 17, 25, 48
"""Of the DSP blocks of the oldest family that FINN knows (DSP48E1)."""


def matrix_units(place: FinnPlace, matrix: np.ndarray, vectors: int) -> list[Unit]:
    """Return the product with a matrix (terms, outputs), and the sum with an offset where a layer adds it."""
    xnor = accumulators.is_xnor(place.graph, place.node)
    sums = accumulators.product_type(place.graph, place.node)
    width = 1 if xnor or bool((np.abs(matrix) == 1).all()) else max(2, weight_bits(matrix))
    about = Product(
        terms=matrix.shape[0],
        outputs=matrix.shape[1],
        vectors=vectors,
        bits=place.bits_in,
        weight_bits=width,
        sum_bits=sums.bits,
        xnor=xnor,
        multipliers=not xnor and _in_blocks(matrix, place.bits_in, width, sums.bits),
    )
    return [product(about), *offset_units(place, matrix.shape[1], vectors, sums.bits)]


def offset_units(place: FinnPlace, channels: int, vectors: int, bits: int) -> list[Unit]:
    """Return the layer that adds an offset per channel, where there is one."""
    if not place.adds_offset:
        return []
    attributes = {"lhs_style": "input", "rhs_style": "const"}
    return [per_lane("ElementwiseAdd", "hls", attributes, channels, vectors, (bits, place.bits_out), place.bits_out)]


def _in_blocks(matrix: np.ndarray, bits: int, width: int, sum_bits: int) -> bool:
    """Tell whether FINN's RTL multiplies in DSP blocks of every family."""
    narrow = int(matrix.min()) > -(1 << (width - 1))
    return (
        narrow and NARROWEST <= bits <= WIDEST_INPUT and NARROWEST <= width <= WIDEST_WEIGHT and sum_bits <= WIDEST_SUM
    )
