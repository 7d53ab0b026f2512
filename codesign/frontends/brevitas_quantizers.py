"""Reading Brevitas quantisers: integer weights with their scales, and the grids of activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from codesign.errors import UserError
from codesign.frontends.brevitas_trace import label as label_of
from codesign.frontends.requantize import Grid, fraction, reaches

ROUNDINGS = {"ROUND": "half_even", "FLOOR": "floor", "CEIL": "ceil"}
"""Brevitas' names of rounding modes (torch.round, floor, ceil)."""

PROBES = 4096
"""Values sent through an activation quantiser to check that it is the grid it says."""

_NOT_FINITE = "the weights of layer {!r} hold NaN or infinity; train it again or mend the checkpoint."


@dataclass(frozen=True)
class Weights:
    """Integer weights of a layer.

    Parameters
    ----------
    values : ndarray of int64, torch layout (out, in/groups, kh, kw) or (out, in)
        Integers, or codes into `codebook`.
    scale : ndarray of float64, shape (out,) or (1,)
        real = scale · integer.
    bits : int or tuple of int
        Declared width, of all or of each output channel.
    codebook : ndarray of int64 or None
        Integer values of codes.
    """

    values: np.ndarray
    scale: np.ndarray
    bits: int | tuple[int, ...]
    codebook: np.ndarray | None


def read_weights(module: Any, label: str) -> Weights:
    """Return the integer weights of a Brevitas layer.

    Raises
    ------
    UserError
        When the layer's weights are float, are not finite, have a zero point, or are not multiples of their scale.
    """
    if not getattr(getattr(module, "weight_quant", None), "is_quant_enabled", False):
        raise UserError(f"layer {label!r} has float weights; give it a weight quantiser (weight_quant=… of Brevitas).")
    # A quantiser may clip infinity to a level.
    if not bool(torch.isfinite(module.weight).all()):
        raise UserError(_NOT_FINITE.format(label))
    with torch.no_grad():
        quantized = module.quant_weight()
    if getattr(quantized, "bit_width", None) is None or not hasattr(quantized, "zero_point"):
        raise UserError(
            f"the weight quantiser of layer {label!r} makes a {type(quantized).__name__}, not integers with a scale; "
            "use an integer quantiser."
        )
    if bool((quantized.zero_point != 0).any()):
        raise UserError(f"the weights of layer {label!r} have a zero point; use a symmetric weight quantiser.")
    value = quantized.value.detach().double().numpy()
    scale = quantized.scale.detach().double().numpy()
    outputs = value.shape[0]
    if scale.size not in (1, outputs) or (scale.size > 1 and scale.shape[0] != outputs):
        raise UserError(
            f"the weight scales of layer {label!r} have shape {tuple(scale.shape)}; "
            "use one per tensor or per output channel."
        )
    if not (np.isfinite(value).all() and np.isfinite(scale).all()):
        raise UserError(_NOT_FINITE.format(label))
    scale = np.abs(scale.reshape(-1))
    if (scale == 0).any():
        raise UserError(f"the weights of layer {label!r} have scale 0; train the network first.")
    broadcast = scale.reshape(-1, *(1,) * (value.ndim - 1))
    quantizer = module.weight_quant.tensor_quant
    codebook = codes = integers = np.rint(value / broadcast)
    tabled = hasattr(quantizer, "codebook")
    if tabled:
        codebook = np.array(quantizer.codebook, dtype=np.int64)
        codes = quantizer.codes(module.weight).numpy()
        integers = codebook[codes]
    # A float32 product of integer and scale is off by at most half an ulp.
    if not np.allclose(integers * broadcast, value, rtol=2**-22, atol=0.0):
        raise UserError(f"the weights of layer {label!r} are not multiples of their scale; use an integer quantiser.")
    if tabled and (np.diff(codebook) != 1).any():  # else plain integers, such as ternary ones
        return Weights(codes, scale, (len(codebook) - 1).bit_length(), codebook)
    # Widths of the graph are those of two's complement.
    bits = int(quantized.bit_width) + (not bool(quantized.signed))
    if bits == 1:
        if set(np.unique(integers)) <= {-1.0, 1.0}:
            return Weights((integers > 0).astype(np.int64), scale, 1, np.array([-1, 1], dtype=np.int64))
        raise UserError(f"the 1-bit weights of layer {label!r} are not -1 and +1; use a binary weight quantiser.")
    declared = getattr(quantizer, "channel_bits", bits)  # widths of their own
    return Weights(integers.astype(np.int64), scale, declared, None)


def is_quantizer(proxy: Any) -> bool:
    """Tell whether a quantiser proxy of a Brevitas layer is there and switched on."""
    return bool(getattr(proxy, "is_quant_enabled", False))


def activation_bounds(proxy: Any, label: str) -> tuple[float | None, float | None]:
    """Return the clamp of the activation function in front of an activation quantiser: (0, None) for ReLU.

    Raises
    ------
    UserError
        When it is no clamp (sigmoid, tanh).
    """
    function = proxy.fused_activation_quant_proxy.activation_impl
    match type(function).__name__:
        case "Identity":
            return None, None
        case "ReLU":
            return 0.0, None
        case "ReLU6":
            return 0.0, 6.0
        case "Hardtanh":
            return float(function.min_val), float(function.max_val)
        case name:
            raise UserError(
                f"layer {label!r} applies {name} before its quantiser, which has no exact integer form here; "
                "use QuantReLU, QuantIdentity or QuantHardTanh."
            )


def read_grid(proxy: Any, label: str) -> Grid:
    """Return the grid of an activation quantiser in evaluation, and check it on real values.

    Raises
    ------
    UserError
        When it is no uniform grid with one scale, or behaves differently from what it declares.
    """
    proxy.eval()
    quantizer = getattr(proxy.fused_activation_quant_proxy, "tensor_quant", None)
    try:
        with torch.no_grad():
            scale, zero_point, bit_width = proxy.scale(), proxy.zero_point(), proxy.bit_width()
    except (AttributeError, RuntimeError, TypeError) as error:
        raise UserError(f"the quantiser of layer {label!r} has no fixed integer grid ({error}).") from error
    if scale is None or bit_width is None or scale.numel() != 1 or zero_point.numel() != 1:
        raise UserError(
            f"the quantiser of layer {label!r} needs one scale per tensor; activations per channel do not sum."
        )
    bits = int(bit_width)
    signed, narrow = bool(proxy.is_signed), bool(proxy.is_narrow_range)
    step = fraction(abs(float(scale)), f"the quantiser of layer {label!r}")
    if step == 0:
        raise UserError(f"the quantiser of layer {label!r} has scale 0; train the network first.")
    if bits == 1 and (signed or getattr(quantizer, "rounding", None) == "sign"):
        grid = Grid(step, -1 if signed else 0, 1, "sign")
    else:
        low = -(1 << (bits - 1)) + int(narrow) if signed else 0
        high = (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1 - int(narrow)
        zero = round(float(zero_point))
        rounding = ROUNDINGS.get(str(getattr(proxy, "rounding_mode", None) or "ROUND").upper())
        if rounding is None:
            raise UserError(
                f"the quantiser of layer {label!r} rounds by {proxy.rounding_mode}; use ROUND, FLOOR or CEIL."
            )
        grid = Grid(step, low - zero, high - zero, rounding)
    _probe(quantizer, grid, label)
    return grid


def _probe(quantizer: Any, grid: Grid, label: str) -> None:
    """Send values through the quantiser and compare with the grid, away from ties (float32 blurs those)."""
    span = grid.high - grid.low
    generator = torch.Generator().manual_seed(0)
    positions = grid.low - 2 + (span + 4) * torch.rand(PROBES, generator=generator, dtype=torch.float64)
    step = float(grid.scale)
    x = (positions * step).float()
    with torch.no_grad():
        result = quantizer(x.reshape(1, -1, 1, 1))
    value = (result[0] if isinstance(result, tuple) else result).double().reshape(-1)
    found = value / step
    exact = x.double() / step
    steps = np.array([float(reaches(grid, level)[0]) for level in range(grid.low + 1, grid.high + 1)])
    expected = grid.low + np.searchsorted(steps, exact.numpy(), side="right")
    after = np.searchsorted(steps, exact.numpy())
    nearest = np.minimum(
        np.abs(exact.numpy() - steps[np.maximum(after - 1, 0)]), np.abs(exact.numpy() - steps[after % len(steps)])
    )
    blur = 1e-3 + span * 2.0**-22  # of float32, in steps
    clear = nearest > blur
    if not np.allclose(found.numpy()[clear], expected[clear], rtol=0, atol=blur):
        raise UserError(
            f"the quantiser of layer {label!r} is not the uniform grid it declares (scale {step:g}, "
            f"{grid.low} to {grid.high}); use a Brevitas integer quantiser or one of codesign.quant."
        )


def read_biases(traced: fx.GraphModule, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return the real bias of every layer that has one, as its own bias quantiser rounds it.

    Parameters
    ----------
    traced : torch.fx.GraphModule
        In evaluation mode.
    shape : tuple of int
        Of one input frame, channels first.

    Returns
    -------
    dict of str to ndarray of float64, shape (outputs,)
        By fx node name.

    Raises
    ------
    UserError
        When a bias quantiser follows its input's scale, but the network does not run.
    """
    biases: dict[str, np.ndarray] = {}
    rounded = False
    for node in traced.graph.nodes:
        module = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(getattr(module, "bias", None), torch.Tensor) and hasattr(module, "weight_quant"):
            biases[node.name] = module.bias.detach().double().numpy()  # type: ignore[union-attr, operator]
            rounded |= is_quantizer(getattr(module, "bias_quant", None))
    if rounded:
        biases |= _observed_biases(traced, shape)
    return biases


def _observed_biases(traced: fx.GraphModule, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Run one frame and note what every bias quantiser gives: its scale may be any earlier layer's."""
    biases: dict[str, np.ndarray] = {}

    class Observer(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            proxy = getattr(traced.get_submodule(str(n.target)), "bias_quant", None) if n.op == "call_module" else None
            if not is_quantizer(proxy):
                return super().run_node(n)

            def note(_module: Any, _inputs: Any, output: Any) -> None:
                biases[n.name] = getattr(output, "value", output).detach().double().numpy().ravel()

            handle = proxy.register_forward_hook(note)  # type: ignore[union-attr]
            try:
                return super().run_node(n)
            except Exception as error:
                raise UserError(
                    f"layer {label_of(n)!r} cannot quantise its bias ({str(error).splitlines()[0]}); give it an input "
                    "that carries its scale (return_quant_tensor=True of the layer before it)."
                ) from error
            finally:
                handle.remove()

    try:
        with torch.no_grad():
            Observer(traced).run(torch.zeros(1, *shape))
    except UserError:
        raise
    except Exception as error:  # whatever the user's layers raise
        raise UserError(f"the network does not run on a frame of shape {shape} ({error}).") from error
    return biases
