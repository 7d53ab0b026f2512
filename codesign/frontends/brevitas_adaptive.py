"""Reading the adaptive step (ASQ) of a Brevitas activation."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from codesign.errors import UserError
from codesign.frontends import brevitas_quantizers as quantizers
from codesign.frontends.adaptive import AdaptiveStep, DenseLayer
from codesign.frontends.requantize import Grid, fraction


def adaptive_quantizer(proxy: Any) -> Any:
    """Return the `codesign.quant.asq.AsqQuant` of an activation's proxy, None when it is another quantiser."""
    found = getattr(getattr(proxy, "fused_activation_quant_proxy", None), "tensor_quant", None)
    return found if type(found).__name__ == "AsqQuant" else None


def folded_grids(quantizer: Any, label: str) -> list[Grid] | None:
    """Return the grids, one after the other, of a quantiser whose step was folded out, None when it was not."""
    if quantizer.fixed_factor is None:
        return None
    grid = _base_grid(quantizer, label)
    fixed = Grid(grid.scale * fraction(quantizer.fixed_factor), grid.low, grid.high)
    return [fixed] if quantizer.input_quant is None else [_lsq_grid(quantizer.input_quant, label), fixed]


def read_step(quantizer: Any, label: str) -> AdaptiveStep:
    """Return the integers and grids of an adaptive step.

    Raises
    ------
    UserError
        When it was trained with a continuous factor, which no integers express.
    """
    if not quantizer.entries:
        raise UserError(
            f"the adaptive step of layer {label!r} has a continuous factor, which integers cannot express; train it "
            "with entries=16 (up to 64), or fold it out with codesign.quant.asq.fold_out."
        )
    hidden, hidden_grid = None, None
    if quantizer.adapter.hidden is not None:
        hidden = _dense(quantizer.adapter.hidden, label)
        hidden_grid = _lsq_grid(quantizer.adapter.hidden_quant, label)
    return AdaptiveStep(
        _lsq_grid(quantizer.input_quant, label),
        hidden,
        hidden_grid,
        _dense(quantizer.adapter.output, label),
        tuple(Fraction(value) for value in quantizer.thresholds.double().tolist()),
        tuple(Fraction(value) for value in quantizer.codebook.double().tolist()),
        _base_grid(quantizer, label),
    )


def _base_grid(quantizer: Any, label: str) -> Grid:
    return Grid(fraction(float(quantizer.step), f"the adaptive step of layer {label!r}"), 0, quantizer.high)


def _lsq_grid(quantizer: Any, label: str) -> Grid:
    step = fraction(float(quantizer.scaling_impl()), f"the quantiser of layer {label!r}")
    return Grid(step, quantizer.low, quantizer.high)


def _dense(layer: Any, label: str) -> DenseLayer:
    weights = quantizers.read_weights(layer, f"{label} (adaptive step)")
    bias = None if layer.bias is None else layer.bias.detach().double().numpy()
    return DenseLayer(weights.values.T, list(weights.scale), weights.bits, bias)
