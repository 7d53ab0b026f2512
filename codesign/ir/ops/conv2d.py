"""Two-dimensional convolution on integers: plain, grouped and depthwise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from codesign.ir import exact
from codesign.ir.operator import (
    Operator,
    accumulator_type,
    extreme_sums,
    int_array,
    int_pair,
    integer,
    require,
    with_bias,
)
from codesign.ir.tensor import Tensor
from codesign.ir.weights import are_mixed, checked_widths, decode, used_widths, weight_array


@dataclass(frozen=True, eq=False)
class Conv2d(Operator):
    """y[i, j, o] = bias[o] + Σ x[i·s + u - pad_top, j·s + v - pad_left, c] · w[u, v, c, o], exactly.

    Parameters
    ----------
    weight : ndarray of int, shape (kernel_height, kernel_width, in_channels // groups, out_channels)
        Integer values, or codes into `codebook`. With groups, output channels are ordered group by group.
    weight_bits : int or tuple of int, optional
        Declared width per output channel, two's complement; the narrowest by default. Code width with a codebook.
    stride : int or (int, int)
        Vertical and horizontal stride, at least 1.
    padding : int or (top, bottom, left, right)
        Rows and columns of integer 0 around the frame.
    groups : int
        Divides both channel counts; equal to in_channels for a depthwise convolution.
    bias : ndarray of int, shape (out_channels,), optional
        Added to the accumulator.
    codebook : ndarray of int, shape (entries,), optional
        Distinct integer weight values (non-uniform weights).
    """

    name: ClassVar[str] = "conv2d"

    weight: np.ndarray
    weight_bits: tuple[int, ...] | int | None = None
    stride: tuple[int, int] | int = (1, 1)
    padding: tuple[int, int, int, int] | int = (0, 0, 0, 0)
    groups: int = 1
    bias: np.ndarray | None = None
    codebook: np.ndarray | None = None

    def __post_init__(self) -> None:
        weight, codebook = weight_array(self.weight, 4, self.codebook)
        set_ = object.__setattr__
        set_(self, "weight", weight)
        set_(self, "codebook", codebook)
        set_(self, "weight_bits", checked_widths(self.weight_bits, weight, codebook))
        set_(self, "stride", int_pair(self.stride, "stride", 1))
        padding = (self.padding,) * 4 if isinstance(self.padding, (int, np.integer)) else tuple(self.padding)
        padding = tuple(integer(p, "padding") for p in padding)
        require(len(padding) == 4 and min(padding) >= 0, "padding needs four integers >= 0")
        set_(self, "padding", padding)
        groups = integer(self.groups, "groups")
        require(groups >= 1 and weight.shape[3] % groups == 0, "groups must divide the output channels")
        set_(self, "groups", groups)
        if self.bias is not None:
            bias = int_array(self.bias, 1, "bias")
            require(len(bias) == weight.shape[3], f"{len(bias)} biases for {weight.shape[3]} output channels")
            set_(self, "bias", bias)

    @property
    def kernel(self) -> tuple[int, int]:
        """Kernel height and width."""
        return self.weight.shape[0], self.weight.shape[1]

    @property
    def depthwise(self) -> bool:
        """Whether every group holds exactly one input channel (and there is more than one group)."""
        return self.groups > 1 and self.weight.shape[2] == 1

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
        require(len(x.shape) == 3, f"conv2d needs (height, width, channels), found {x.shape}")
        height, width, channels = x.shape
        kernel_height, kernel_width, group_channels, out_channels = self.weight.shape
        require(
            channels == group_channels * self.groups,
            f"conv2d expects {group_channels * self.groups} input channels, found {channels}",
        )
        top, bottom, left, right = self.padding  # type: ignore[misc]
        rows, columns = height + top + bottom - kernel_height, width + left + right - kernel_width
        require(rows >= 0 and columns >= 0, f"the kernel {self.kernel} exceeds the padded frame of {x.shape}")
        stride_height, stride_width = self.stride  # type: ignore[misc]
        smallest, largest = self.accumulator_range(x)
        return Tensor(
            (rows // stride_height + 1, columns // stride_width + 1, out_channels),
            accumulator_type(smallest, largest),
        )

    def accumulator_range(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the tight smallest and largest accumulator per output channel, each of shape (out_channels,)."""
        # Padding writes zeros into the window, whether or not the input's own type contains 0.
        low, high = min(0, x.type.min), max(0, x.type.max)
        smallest, largest = extreme_sums(self.values().reshape(-1, self.weight.shape[3]), low, high)
        return with_bias(smallest, largest, self.bias)

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        weights = self.values()
        bound = exact.absolute_bound(weights, x)
        top, bottom, left, right = self.padding  # type: ignore[misc]
        x = x.astype(exact.exact_dtype(bound))
        if any(self.padding):  # type: ignore[arg-type]
            x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        if self.depthwise:
            y = self._depthwise(x, weights)
        else:
            y = self._grouped(x, weights, bound)
        return y if self.bias is None else y + self.bias

    def _windows(self, x: np.ndarray) -> np.ndarray:
        """Return a view (frames, rows, columns, channels, kernel_height, kernel_width) of a padded input."""
        windows = np.lib.stride_tricks.sliding_window_view(x, self.kernel, axis=(1, 2))
        stride_height, stride_width = self.stride  # type: ignore[misc]
        return windows[:, ::stride_height, ::stride_width]

    def _grouped(self, x: np.ndarray, weights: np.ndarray, bound: int) -> np.ndarray:
        group_in, out_channels = weights.shape[2], weights.shape[3]
        group_out = out_channels // self.groups
        windows = self._windows(x)
        frames, rows, columns = windows.shape[:3]
        terms = weights.shape[0] * weights.shape[1] * group_in  # numpy infers no size for zero frames
        parts = []
        for group in range(self.groups):
            window = windows[:, :, :, group * group_in : (group + 1) * group_in]
            # (u, v, c) order matches the weights and copies runs of channels, which is fast.
            matrix = window.transpose(0, 1, 2, 4, 5, 3).reshape(frames * rows * columns, terms)
            kernel = weights[..., group * group_out : (group + 1) * group_out].reshape(terms, group_out)
            parts.append(exact.matmul(matrix, kernel, bound).reshape(frames, rows, columns, group_out))
        return parts[0] if self.groups == 1 else np.concatenate(parts, axis=3)

    def _depthwise(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        windows = np.repeat(self._windows(x), weights.shape[3] // self.groups, axis=3)
        y = np.zeros(windows.shape[:4], dtype=x.dtype)
        for u in range(weights.shape[0]):
            for v in range(weights.shape[1]):
                y += windows[..., u, v] * weights[u, v, 0].astype(x.dtype)
        return y.astype(np.int64)
