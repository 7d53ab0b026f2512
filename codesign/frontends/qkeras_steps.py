"""A Keras network as a list of frozen steps: what its layers compute after training, constants included.

`qkeras_layers` writes the list from a model, `qkeras` lowers it to integers, `qkeras_reference` evaluates it
in float64. Values are numbered; number 0 is the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.frontends.adaptive import AdaptiveStep
from codesign.frontends.qkeras_activations import Activation
from codesign.frontends.qkeras_weights import Weights

NO_PADDING = (0, 0, 0, 0)


@dataclass(frozen=True)
class Step:
    """One computation.

    Parameters
    ----------
    label : str
        Name of the Keras layer, for people.
    inputs : tuple of int
        Values it reads.
    output : int
        Value it makes.
    """

    label: str
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, eq=False)
class Conv(Step):
    """Convolution, channels last; kernel (kh, kw, in/groups, out), padding (top, bottom, left, right)."""

    weights: Weights
    bias: np.ndarray | None
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    groups: int


@dataclass(frozen=True, eq=False)
class FullyConnected(Step):
    """Matrix product with a kernel (in, out)."""

    weights: Weights
    bias: np.ndarray | None


@dataclass(frozen=True, eq=False)
class ScaleShift(Step):
    """factor[c] · x + shift[c], float64."""

    factor: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class Clamp(Step):
    """min(max(x, low), high); None for no bound."""

    low: float | None
    high: float | None


@dataclass(frozen=True)
class Quantize(Step):
    """An activation quantizer."""

    activation: Activation


@dataclass(frozen=True, eq=False)
class QuantizeAdaptively(Step):
    """A ReLU and an activation quantizer whose step is chosen for each frame."""

    adaptive: AdaptiveStep


@dataclass(frozen=True)
class Sum(Step):
    """Elementwise sum of two values."""


@dataclass(frozen=True)
class MaxPool(Step):
    """Largest value of each window, no padding."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class AveragePool(Step):
    """Mean of each window, no padding."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Flatten(Step):
    """Frame to vector, channels fastest."""


@dataclass(frozen=True)
class Network:
    """A frozen network.

    Parameters
    ----------
    input_shape : tuple of int
        (height, width, channels) or (features,).
    steps : tuple of Step
        In execution order.
    output : int
        Value that the network returns.
    """

    input_shape: tuple[int, ...]
    steps: tuple[Step, ...]
    output: int


def window_padding(
    mode: str, frame: tuple[int, int], kernel: tuple[int, ...], stride: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of TensorFlow's rule: 'same' puts the odd row or column last."""
    if str(mode).lower() == "valid":
        return NO_PADDING
    ends: list[int] = []
    for extent, k, s in zip(frame, kernel, stride, strict=True):
        total = max((-(-extent // s) - 1) * s + k - extent, 0)
        ends += [total // 2, total - total // 2]
    return ends[0], ends[1], ends[2], ends[3]
