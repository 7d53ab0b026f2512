"""Reading the adaptive step (ASQ) of a QKeras activation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qkeras_quantizers as quantizers
from codesign.frontends.adaptive import AdaptiveStep, DenseLayer
from codesign.frontends.requantize import Grid, fraction
from codesign.quant.steps import SMALLEST_STEP


def is_adaptive(quantizer: Any) -> bool:
    """Tell whether a quantizer chooses its step for each frame, and is not folded out."""
    return quantizers.is_method(quantizer) and hasattr(quantizer, "factors") and not quantizer.fixed


def read_step(quantizer: Any, label: str) -> AdaptiveStep:
    """Return the integers and grids of an adaptive step.

    Parameters
    ----------
    quantizer : codesign.quant.keras.asq.AsqActivation
    label : str
        For people.

    Raises
    ------
    UserError
        When it was trained with a continuous factor, which no integers express, or not at all.
    """
    if not quantizer.entries:
        raise UserError(
            f"the adaptive step of layer {label!r} has a continuous factor, which integers cannot express; train it "
            "with entries=16 (up to 64), or fold it out with codesign.quant.keras.asq.fold_out."
        )
    bits, hidden, hidden_grid = quantizer.adapter_bits, None, None
    if quantizer.hidden_weights is not None:
        hidden = _dense(quantizer.hidden_weights, quantizer.hidden_weight_step, quantizer.hidden_bias, bits, label)
        # Where no hidden value ever was above 0, there is no step either.
        unset = float(quantizer.hidden_step) == 0
        step = Fraction(SMALLEST_STEP) if unset else _step(quantizer.hidden_step, label)
        hidden_grid = Grid(step, 0, (1 << bits) - 1)
    return AdaptiveStep(
        Grid(_step(quantizer.input_step, label), 0, quantizer.input_high),
        hidden,
        hidden_grid,
        _dense(quantizer.output_weights, quantizer.output_weight_step, quantizer.output_bias, bits, label),
        tuple(Fraction(float(value)) for value in quantizer.thresholds),
        tuple(Fraction(float(value)) for value in quantizer.table),
        Grid(_step(quantizer.step, label), 0, quantizer.high),
    )


def _step(variable: Any, label: str) -> Fraction:
    step = fraction(abs(float(variable)), f"the adaptive step of layer {label!r}")
    if step == 0:
        raise UserError(f"the adaptive step of layer {label!r} has no step yet; train the network first.")
    return max(step, Fraction(SMALLEST_STEP))


def _dense(weights: Any, step: Any, bias: Any, bits: int, label: str) -> DenseLayer:
    """Return the integers of a dense layer of the adapter, rounded in float32 as in training."""
    scale, high = _step(step, label), (1 << (bits - 1)) - 1
    codes = np.rint(np.clip(weights.numpy() / np.float32(float(scale)), -high, high))
    return DenseLayer(codes.astype(np.int64), [float(scale)], bits, bias.numpy().astype(np.float64))
