"""Fully connected layer in hardware against golden."""

from __future__ import annotations

import numpy as np
from operator_cases import OperatorCases

from codesign.ir.ops import Dense

POST = np.array([128, -181, 256, -362, 724, 0, -1024])


class TestDense(OperatorCases):
    shape = (12,)

    def variants(self, x, bits, rng):
        widths = rng.integers(1, bits + 1, size=5)
        per_channel = rng.integers(-(1 << (widths - 1)), 1 << (widths - 1), size=(12, 5))
        span = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))
        book = rng.choice(span, size=min(len(span), 9), replace=False)
        binary = np.array([-1, 1])
        return {
            "a width per output": Dense(per_channel, tuple(int(w) for w in widths)),
            "declared wider": Dense(per_channel, 9, bias=rng.integers(-1000, 1000, size=5)),
            "one output": Dense(np.full((12, 1), -1)),
            "all zero": Dense(np.zeros((12, 2), dtype=np.int64), bias=np.array([-7, 0])),
            "codebook": Dense(rng.integers(0, len(book), size=(12, 4)), codebook=book),
            "powers of root two": Dense(rng.integers(0, 7, (12, 4)), codebook=POST, bias=rng.integers(-99, 99, size=4)),
            "binary": Dense(rng.integers(0, 2, size=(12, 4)), codebook=binary, bias=rng.integers(-9, 9, size=4)),
            "bias against the sum": Dense(np.full((12, 2), -1), bias=np.array([10_000, 12 << bits])),
        }
