"""Weights of `Conv2d` and `Dense`: plain integers, or codes into an integer codebook."""

from __future__ import annotations

import numpy as np

from codesign.ir.operator import int_array, integer, require
from codesign.ir.types import weight_bits, widths_of_columns

MAX_WEIGHT_BITS = 24
"""Widest weight; wider ones are a mistake in the frontend."""


def weight_array(weight: object, ndim: int, codebook: object) -> tuple[np.ndarray, np.ndarray | None]:
    """Check and freeze weights whose last axis is the output channel.

    Returns
    -------
    tuple
        The weights (values, or codes when there is a codebook) and the codebook, both read-only int64.

    Raises
    ------
    OperatorError
        On codes outside the codebook, repeated codebook entries or over-wide values.
    """
    array = int_array(weight, ndim, "weight")
    book = None
    if codebook is not None:
        book = int_array(codebook, 1, "codebook")
        require(len(np.unique(book)) == len(book), "the codebook lists a value twice")
        require(int(array.min()) >= 0 and int(array.max()) < len(book), "a weight code lies outside the codebook")
    require(
        weight_bits(array if book is None else book) <= MAX_WEIGHT_BITS,
        f"weights exceed {MAX_WEIGHT_BITS} bits",
    )
    return array, book


def decode(weight: np.ndarray, codebook: np.ndarray | None) -> np.ndarray:
    """Return the integer values of weights."""
    return weight if codebook is None else codebook[weight]


def channel_widths(weight: np.ndarray, codebook: np.ndarray | None) -> tuple[int, ...]:
    """Return the bits that each output channel (last axis) stores per weight.

    For a codebook this is the width of a code, the same for all; otherwise the narrowest two's complement
    width of the channel's own values.
    """
    channels = weight.shape[-1]
    if codebook is not None:
        return (max(1, (len(codebook) - 1).bit_length()),) * channels
    return tuple(widths_of_columns(weight).tolist())


def checked_widths(widths: object, weight: np.ndarray, codebook: np.ndarray | None) -> tuple[int, ...]:
    """Return declared widths per output channel after checking them, or the narrowest ones for None."""
    needed = channel_widths(weight, codebook)
    if widths is None:
        return needed
    if isinstance(widths, (int, np.integer)):
        declared = (integer(widths, "a weight width"),) * len(needed)
    else:
        declared = tuple(integer(w, "a weight width") for w in widths)  # type: ignore[attr-defined]
    require(len(declared) == len(needed), f"{len(declared)} weight widths for {len(needed)} output channels")
    for channel, (have, need) in enumerate(zip(declared, needed, strict=True)):
        require(
            need <= have <= MAX_WEIGHT_BITS,
            f"output channel {channel} declares {have}-bit weights but needs {need} (at most {MAX_WEIGHT_BITS})",
        )
    return declared


def used_widths(values: np.ndarray) -> np.ndarray:
    """Return the bits that the weights of each output channel (last axis) need: 0 where all are 0 (pruned)."""
    columns = values.reshape(-1, values.shape[-1])
    return np.where(columns.any(0), widths_of_columns(columns), 0)


def are_mixed(declared: tuple[int, ...], values: np.ndarray) -> bool:
    """Tell whether output channels declare different widths, or some but not all of them are pruned."""
    return len(set(declared)) > 1 or len(set((used_widths(values) > 0).tolist())) > 1
