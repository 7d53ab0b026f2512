"""Contents of memory files, and what lookup of sums takes, against the same written one value at a time."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.backends.rtl import memory
from codesign.backends.rtl.distributed import Sums


@pytest.mark.parametrize("bits", [1, 3, 4, 7, 12, 70])
@pytest.mark.parametrize("fields", [1, 2, 5])
def test_words_are_fields_side_by_side(fields: int, bits: int):
    top = 2 ** min(bits - 1, 60)
    values = np.random.default_rng(bits).integers(-top, top, (6, fields))
    lines = memory.words(values, bits).splitlines()
    assert {len(line) for line in lines} == {-(-fields * bits // 4)}
    expected = [sum((value % 2**bits) << (i * bits) for i, value in enumerate(row)) for row in values.tolist()]
    assert [int(line, 16) for line in lines] == expected


@pytest.mark.parametrize("lookup", [4, 6])
def test_luts_are_those_of_tables_and_of_adders_of_two_the_smallest_first(lookup: int):
    generator = np.random.default_rng(lookup)
    for _ in range(60):
        words, outputs, inputs = generator.integers(1, 9), generator.integers(1, 7), generator.integers(1, 40)
        weight = generator.integers(-8, 8, (words, outputs, inputs)) * (
            generator.random((1, outputs, inputs)) < generator.choice([0.1, 1])
        )
        sums = Sums(weight, lookup)
        tables = adders = 0
        for output in sums.most:
            left = sorted(most for most in output.tolist() if most)
            tables += sum(most.bit_length() for most in left)
            while len(left) > 1:
                pairs = [sum(left[i : i + 2]) for i in range(0, len(left), 2)]
                adders += sum(most.bit_length() for most in pairs[: len(left) // 2])
                left = sorted(pairs)
        repeated = 1 << max(0, sums.address + sums.inputs - lookup)
        assert sums.luts == repeated * tables + adders
