"""Reading the adaptive step (ASQ) of a Brevitas activation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from codesign.errors import UserError
from codesign.frontends import brevitas_quantizers as quantizers
from codesign.frontends.adaptive import AdaptiveStep, DenseLayer
from codesign.frontends.requantize import Grid, fraction
from codesign.quant.asq import AsqQuant


def adaptive_quantizer(proxy: Any) -> AsqQuant | None:
    """Return the `AsqQuant` of an activation's proxy, None when it is another quantiser or was folded out."""
    found = getattr(getattr(proxy, "fused_activation_quant_proxy", None), "tensor_quant", None)
    return found if isinstance(found, AsqQuant) and found.fixed_factor is None else None


def read_step(quantizer: AsqQuant, label: str) -> AdaptiveStep:
    """Return the integers and grids of an adaptive step.

    Raises
    ------
    UserError
        When it was trained with a continuous factor, which no integers express.
    """
    input_quant, codebook, thresholds = quantizer.input_quant, quantizer.codebook, quantizer.thresholds
    if input_quant is None or codebook is None or thresholds is None:
        raise UserError(
            f"the adaptive step of layer {label!r} has a continuous factor, which integers cannot express; train it "
            "with entries=16 (up to 64), or fold it out with codesign.quant.asq.fold_out."
        )
    hidden, hidden_grid = None, None
    if quantizer.adapter.hidden is not None:
        hidden = _dense(quantizer.adapter.hidden, label)
        hidden_grid = _lsq_grid(quantizer.adapter.hidden_quant, label)
    return AdaptiveStep(
        _lsq_grid(input_quant, label),
        hidden,
        hidden_grid,
        _dense(quantizer.adapter.output, label),
        tuple(Fraction(value) for value in thresholds.double().tolist()),
        tuple(Fraction(value) for value in codebook.double().tolist()),
        _base_grid(quantizer, label),
    )


def _base_grid(quantizer: AsqQuant, label: str) -> Grid:
    return Grid(fraction(float(quantizer.step.detach()), f"the adaptive step of layer {label!r}"), 0, quantizer.high)


def _lsq_grid(quantizer: Any, label: str) -> Grid:
    step = fraction(float(quantizer.scaling_impl().detach()), f"the quantiser of layer {label!r}")
    return Grid(step, quantizer.low, quantizer.high)


def _dense(layer: Any, label: str) -> DenseLayer:
    weights = quantizers.read_weights(layer, f"{label} (adaptive step)")
    bias = None if layer.bias is None else layer.bias.detach().double().numpy()
    return DenseLayer(weights.values.T, list(weights.scale), weights.bits, bias)
