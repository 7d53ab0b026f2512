"""Fully connected layer on integers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from codesign.ir import exact
from codesign.ir.operator import Operator, accumulator_type, extreme_sums, int_array, require, with_bias
from codesign.ir.tensor import Tensor
from codesign.ir.weights import are_mixed, checked_widths, decode, used_widths, weight_array


@dataclass(frozen=True, eq=False)
class Dense(Operator):
    """y[o] = bias[o] + Σ x[i] · w[i, o], exactly.

    Parameters
    ----------
    weight : ndarray of int, shape (in_features, out_features)
        Integer values, or codes into `codebook`.
    weight_bits : int or tuple of int, optional
        Declared width per output feature, two's complement; the narrowest by default. Code width with a codebook.
    bias : ndarray of int, shape (out_features,), optional
        Added to the accumulator.
    codebook : ndarray of int, shape (entries,), optional
        Distinct integer weight values (non-uniform weights).
    """

    name: ClassVar[str] = "dense"

    weight: np.ndarray
    weight_bits: tuple[int, ...] | int | None = None
    bias: np.ndarray | None = None
    codebook: np.ndarray | None = None

    def __post_init__(self) -> None:
        weight, codebook = weight_array(self.weight, 2, self.codebook)
        set_ = object.__setattr__
        set_(self, "weight", weight)
        set_(self, "codebook", codebook)
        set_(self, "weight_bits", checked_widths(self.weight_bits, weight, codebook))
        if self.bias is not None:
            bias = int_array(self.bias, 1, "bias")
            require(len(bias) == weight.shape[1], f"{len(bias)} biases for {weight.shape[1]} output features")
            set_(self, "bias", bias)

    @property
    def channel_bits(self) -> tuple[int, ...]:
        """Declared weight width of every output channel."""
        return checked_widths(self.weight_bits, self.weight, self.codebook)

    @cached_property
    def used_widths(self) -> np.ndarray:
        """Bits that the integer weights of every output channel need, 0 for a channel of zeros: (channels,)."""
        return used_widths(self.values())

    @cached_property
    def mixed_widths(self) -> bool:
        """Whether output channels declare weights of different widths, or some of them are pruned."""
        return are_mixed(self.channel_bits, self.values())

    def values(self) -> np.ndarray:
        """Return the integer weights, shape as `weight`."""
        return decode(self.weight, self.codebook)

    def infer(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        require(len(x.shape) == 1, f"dense needs flat features, found {x.shape}; put a flatten before it")
        require(
            x.shape[0] == self.weight.shape[0],
            f"dense expects {self.weight.shape[0]} input features, found {x.shape[0]}",
        )
        smallest, largest = self.accumulator_range(x)
        return Tensor((self.weight.shape[1],), accumulator_type(smallest, largest))

    def accumulator_range(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the tight smallest and largest accumulator per output feature, each of shape (out_features,)."""
        smallest, largest = extreme_sums(self.values(), x.type.min, x.type.max)
        return with_bias(smallest, largest, self.bias)

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        weights = self.values()
        y = exact.matmul(x, weights, exact.absolute_bound(weights, x))
        return y if self.bias is None else y + self.bias
