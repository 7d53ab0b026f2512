"""Integer matrix products through BLAS, exact because every partial sum fits the float's significand."""

from __future__ import annotations

import numpy as np

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53


def exact_dtype(bound: int) -> type:
    """Return the fastest type in which sums whose absolute terms add up to `bound` are exact.

    Every partial sum of integers is an integer of magnitude at most Σ|w·x|, in whatever order BLAS adds; as
    long as that bound is below 2^24 (float32) or 2^53 (float64), no addition rounds.
    """
    if bound < FLOAT32_EXACT:
        return np.float32
    if bound < FLOAT64_EXACT:
        return np.float64
    return np.int64


def absolute_bound(weights: np.ndarray, inputs: np.ndarray) -> int:
    """Return max over output channels (last axis) of Σ|w| times the largest |x|."""
    if inputs.size == 0:
        return 0
    largest = max(abs(int(inputs.min())), abs(int(inputs.max())))
    sums = np.abs(weights.reshape(-1, weights.shape[-1])).sum(axis=0, dtype=object)
    return int(max(sums)) * largest


def matmul(inputs: np.ndarray, weights: np.ndarray, bound: int) -> np.ndarray:
    """Return the exact int64 product of (rows, terms) and (terms, columns)."""
    dtype = exact_dtype(bound)
    product = np.matmul(inputs.astype(dtype, copy=False), weights.astype(dtype, copy=False))
    return product.astype(np.int64, copy=False)
