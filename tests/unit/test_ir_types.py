"""Integer types: ranges, narrowest widths, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.ir import IntType, Tensor
from codesign.ir.types import weight_bits, widths_of_columns


@pytest.mark.parametrize("bits", range(1, 63))
@pytest.mark.parametrize("signed", [False, True])
def test_a_type_spans_what_its_width_says(bits: int, signed: bool):
    kind = IntType(bits, signed)
    assert kind.max - kind.min + 1 == 2**bits
    assert kind.min == (-(2 ** (bits - 1)) if signed else 0)
    assert IntType.for_range(kind.min, kind.max) == kind
    assert kind.holds(np.array([kind.min, kind.max]))
    assert not kind.holds(np.array([kind.min - 1]))
    assert not kind.holds(np.array([kind.max + 1]))


def test_for_range_is_the_narrowest_that_holds_both_ends():
    for low in range(-40, 40):
        for high in range(low, 40):
            kind = IntType.for_range(low, high)
            fitting = [
                IntType(bits, signed)
                for bits in range(1, 8)
                for signed in (False, True)
                if IntType(bits, signed).min <= low and high <= IntType(bits, signed).max
            ]
            assert kind in fitting, (low, high)
            assert kind.bits == min(other.bits for other in fitting if other.signed == (low < 0)), (low, high)
            assert kind.signed == (low < 0)


@pytest.mark.parametrize("bits", [0, -3, 63, 64])
def test_widths_out_of_range_are_refused(bits: int):
    with pytest.raises(ValueError, match=f"1 to 62 bits, not {bits}"):
        IntType(bits, signed=True)


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="empty range"):
        IntType.for_range(3, 2)


@pytest.mark.parametrize("bits", [8.0, "8", None])
def test_a_width_is_an_integer(bits: object):
    with pytest.raises(TypeError):
        IntType(bits, signed=True)  # type: ignore[arg-type]


def test_numpy_integers_become_plain_ones():
    kind = IntType(np.int64(8), np.bool_(False))  # type: ignore[arg-type]
    assert type(kind.bits) is int
    assert type(kind.signed) is bool
    assert str(kind) == "uint8"


def test_weight_bits_is_the_narrowest_signed_width():
    for low in range(-20, 21):
        for high in range(low, 21):
            bits = weight_bits(np.array([low, high]))
            assert -(2 ** (bits - 1)) <= low
            assert high <= 2 ** (bits - 1) - 1
            assert bits == 1 or low < -(2 ** (bits - 2)) or high > 2 ** (bits - 2) - 1
    assert weight_bits(np.zeros(3, dtype=np.int64)) == 1


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (-1,)])
def test_an_edge_has_positive_extents(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="positive extents"):
        Tensor(shape, IntType(8, signed=False))


def test_an_edge_counts_its_elements():
    edge = Tensor((4, 5, 6), IntType(3, signed=True))
    assert (edge.size, edge.channels, str(edge)) == (120, 6, "int3[4x5x6]")


def test_widths_of_columns_are_those_of_each_column():
    generator = np.random.default_rng(3)
    for top in (0, 1, 2, 7, 8, 127, 128, 2**23):
        values = generator.integers(-top, top + 1, (2, 3, 40))
        assert widths_of_columns(values).tolist() == [weight_bits(values[..., c]) for c in range(40)]
    ends = np.array([[0, -1, 1, -8, 7, 8, -9, 2**23, -(2**23)]])
    assert widths_of_columns(ends).tolist() == [1, 1, 2, 4, 4, 5, 5, 25, 24]
