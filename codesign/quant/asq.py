"""ASQ, adaptive step size quantisation of activations: each sample chooses its step.

The averages g of the channels of a ReLU's output x (N, C, H, W) pass a small network, the adapter, whose
output t says by what the learned step s is multiplied for that sample::

    t = W2 ReLU(W1 g + b1) + b2        W1: C to C // 4; with fewer than 8 channels t = W2 g + b2
    y = s beta round(clip(x / (s beta), 0, 2^b - 1)), ties to even

Two modes:

- continuous (``entries=0``), that of the paper: beta = max(t, 1/8). The floor's gradient passes when it would
  raise beta; the paper's released code clamps behind a ReLU, where a sample once at the floor stays there.
- hardware (``entries`` of 16 to 64): x is first quantised by LSQ to ``input_bits`` unsigned bits, the adapter's
  weights and hidden values by LSQ to 8 bits, and beta is the nearest entry of a fixed codebook. All that decides
  the step are then sums and products of integers, and hardware keeps one set of thresholds per entry.

With t = 1, where training starts, both are LSQ. After `fold_out` a constant stands for beta, and the activation is
plain LSQ.

As any Brevitas quantizer, and for topologies::

    QuantReLU(act_quant=AsqActUnsigned4b, channels=16)
    QuantReLU(act_quant=AsqActUnsigned, bit_width=3, channels=16, entries=0)
    asq.relu(16, 4)

``channels`` is the extent of the input's second dimension. The result's scale has shape (N, 1, 1, 1): Brevitas layers
that compute scales of their own from it expect one for all samples, so leave ``return_quant_tensor`` off in networks.

References
----------
arXiv 2504.17263 (adaptive step size, and the POST weights in `post`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import FloatToIntImplType, QuantType
from brevitas.nn import QuantReLU
from brevitas.proxy import ActQuantProxyFromInjector
from torch import Tensor, nn

from codesign.errors import UserError
from codesign.quant.asq_adapter import AsqAdapter, codebook
from codesign.quant.asq_function import AsqFunction, average, factor
from codesign.quant.lsq import LsqQuant, LsqScaling, code_range, lsq
from codesign.quant.quantizer import Quantizer

FEWEST_ENTRIES, MOST_ENTRIES = 16, 64
MOST_INPUT_BITS = 16


class AsqQuant(Quantizer):
    """Brevitas `tensor_quant` that returns (value, scale, zero point, bit width), scale (N, 1, ...) per sample.

    Parameters
    ----------
    bit_width : int
        Bits b of a code.
    channels : int
        Second extent of the input.
    entries : int
        Entries of the codebook, 16 to 64; 0 for the continuous mode.
    input_bits : int
        Width of the input's own quantizer in hardware mode, 2 to 16.

    Attributes
    ----------
    scaling_impl : LsqScaling
        The learned step s, set by the first batch.
    input_quant : LsqQuant or None
        Hardware mode only.
    adapter : AsqAdapter
    codebook, thresholds : Tensor or None, shapes (entries,) and (entries - 1,)
        Factors in ascending order, and the outputs of the adapter from which the next one is taken.
    high : int
        Greatest code.

    Raises
    ------
    ValueError
        When a parameter is out of range.
    """

    codebook: Tensor | None
    thresholds: Tensor | None
    constant: Tensor

    def __init__(self, bit_width: int, channels: int | None, entries: int = 16, input_bits: int = 8) -> None:
        super().__init__(int(bit_width))
        if channels is None or channels < 1:
            raise ValueError(f"ASQ needs channels=…, the second extent of its input, at least 1, found {channels}")
        if entries != 0 and not FEWEST_ENTRIES <= entries <= MOST_ENTRIES:
            raise ValueError(f"entries must be 0 or {FEWEST_ENTRIES} to {MOST_ENTRIES}, found {entries}")
        if not 2 <= input_bits <= MOST_INPUT_BITS:
            raise ValueError(f"input_bits must be 2 to {MOST_INPUT_BITS}, found {input_bits}")
        _, self.high = code_range(int(bit_width), signed=False, narrow=False)
        self.channels, self.entries = channels, entries
        self.scaling_impl = LsqScaling(())
        self.input_quant = LsqQuant(input_bits, False, False, ()) if entries else None
        self.adapter = AsqAdapter(channels, quantised=entries > 0)
        table = codebook(entries) if entries else None
        self.register_buffer("codebook", table)
        self.register_buffer("thresholds", None if table is None else (table[1:] + table[:-1]) / 2)
        # What fold_out puts in the adapter's place; 0 stands for none.
        self.register_buffer("constant", torch.tensor(0.0))
        # Spares a look at the step in each forward pass.
        self.waiting = True

    @property
    def step(self) -> Tensor:
        """The learned step s, positive, shape ()."""
        return self.scaling_impl()

    @property
    def fixed_factor(self) -> float | None:
        """What the step is multiplied by after `fold_out`; None while each sample has a factor of its own."""
        return float(self.constant) or None

    def fix(self, beta: float | None) -> None:
        """Put the constant `beta` > 0 in the adapter's place; None gives the adapter back."""
        if beta is not None and not beta > 0:
            raise ValueError(f"the factor of a step must be positive, found {beta}")
        self.constant.fill_(beta or 0.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantise `x` (N, C, ...), not below 0; the first batch sets the steps.

        Raises
        ------
        UserError
            When `x` has another number of channels.
        """
        fixed = self.fixed_factor
        if fixed is None and (x.ndim < 2 or x.shape[1] != self.channels):
            raise UserError(
                f"an ASQ activation made for {self.channels} channels got values of shape {tuple(x.shape)}; "
                "give it channels=… of its input, (samples, channels, ...)."
            )
        if self.waiting:
            self._initialise(x)
        return self.described(*(self._adaptive(x) if fixed is None else self._folded(x)))

    @torch.no_grad()
    def _initialise(self, x: Tensor) -> None:
        values = x.clamp_min(0)
        if self.input_quant is not None:
            values = self.input_quant(values)[0]
        if not self.scaling_impl.is_set:
            self.scaling_impl.initialise(values, self.high)
        self.waiting = not self.scaling_impl.is_set

    def _adaptive(self, x: Tensor) -> tuple[Tensor, Tensor]:
        step, input_step, input_high = self.step, None, 0
        if self.input_quant is not None:
            input_step, input_high = self.input_quant.scaling_impl(), self.input_quant.high
        averages = average(x, input_step, input_high).to(step.dtype)
        slope = None
        # In bfloat16 the averages would lose bits that decide.
        with torch.autocast(x.device.type, enabled=False):
            # AsqFunction takes the gradient from t to x itself, in the pass it makes over x anyway.
            averages.requires_grad_(torch.is_grad_enabled())
            t = self.adapter(averages)
            if averages.requires_grad:
                (slope,) = torch.autograd.grad(t.sum(), averages, retain_graph=True)
        y = AsqFunction.apply(x, t, slope, step, input_step, self.high, input_high, self.codebook, self.thresholds)
        factors = factor(t.detach(), self.codebook, self.thresholds)
        return y, (step * factors).view(-1, *(1,) * (x.ndim - 1))

    def _folded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scale = self.step * self.constant
        values = x[0].numel() if x.ndim else 1
        return lsq(x, scale, 0, self.high, 1.0 / math.sqrt(max(values, 1) * self.high)), scale


class AsqActQuantProxy(ActQuantProxyFromInjector):
    """Brevitas proxy of a quantizer whose scale depends on its input."""

    def scale(self, force_eval: bool = True) -> Tensor | None:
        """Return the scale of a folded-out activation.

        Raises
        ------
        UserError
            When each sample has its own.
        """
        if self._is_adaptive:
            raise UserError(
                "the scale of an ASQ activation depends on its input; read it from the result with "
                "return_quant_tensor=True, or fold the activation out first."
            )
        return super().scale(force_eval)

    def zero_point(self, force_eval: bool = True) -> Tensor | None:
        """Return 0."""
        return torch.tensor(0.0) if self._is_adaptive else super().zero_point(force_eval)

    def bit_width(self, force_eval: bool = True) -> Tensor | None:
        """Return the bits of a code."""
        if self._is_adaptive:
            return self.fused_activation_quant_proxy.tensor_quant.msb_clamp_bit_width_impl()
        return super().bit_width(force_eval)

    @property
    def _is_adaptive(self) -> bool:
        return self.is_quant_enabled and self.fused_activation_quant_proxy.tensor_quant.fixed_factor is None


class AsqActUnsigned(ExtendedInjector):
    """Unsigned activations with a step per sample, for `QuantReLU`; 8 bits unless changed.

    Needs ``channels``; ``entries`` and ``input_bits`` as in `AsqQuant`.
    """

    tensor_quant = AsqQuant
    proxy_class = AsqActQuantProxy
    quant_type = QuantType.INT
    float_to_int_impl_type = FloatToIntImplType.ROUND
    signed = False
    narrow_range = False
    bit_width = 8
    channels = None
    entries = 16
    input_bits = 8


class AsqActUnsigned2b(AsqActUnsigned):
    """2 bits."""

    bit_width = 2


class AsqActUnsigned3b(AsqActUnsigned):
    """3 bits."""

    bit_width = 3


class AsqActUnsigned4b(AsqActUnsigned):
    """4 bits."""

    bit_width = 4


class AsqActUnsigned5b(AsqActUnsigned):
    """5 bits."""

    bit_width = 5


def relu(channels: int, bits: int, *, entries: int = 16, input_bits: int = 8) -> nn.Module:
    """Return a `QuantReLU` of this method.

    Parameters
    ----------
    channels : int
        Second extent of the input (N, C, ...).
    bits : int
        Bits of a code, 1 to 16.
    entries : int
        Steps that a sample may choose from, 16 to 64; 0 for any, the continuous mode.
    input_bits : int
        Width of the input's own quantizer in hardware mode, 2 to 16.

    Raises
    ------
    ValueError
        When a parameter of `AsqQuant` is out of range.
    """
    quantizer = AsqActUnsigned.let(bit_width=bits, channels=channels, entries=entries, input_bits=input_bits)
    return QuantReLU(act_quant=quantizer)


@torch.no_grad()
def fold_out(module: nn.Module, batches: Iterable[Tensor]) -> dict[str, float]:
    """Replace the factors of all ASQ activations by their means over data: they are plain LSQ from then on.

    Parameters
    ----------
    module : nn.Module
        Changed in place; its mode, training or evaluation, stays.
    batches : iterable of Tensor
        Inputs of `module`.

    Returns
    -------
    dict of str to float
        The mean factor by the name of the `AsqQuant`; those already folded out are left as they are.

    Raises
    ------
    UserError
        When there is no adaptive activation, or an activation saw no sample.
    """
    adaptive = {n: m for n, m in module.named_modules() if isinstance(m, AsqQuant) and m.fixed_factor is None}
    if not adaptive:
        raise UserError("the network has no ASQ activation to fold out; choose one trained with activations = 'asq'.")
    seen: dict[AsqQuant, list[Tensor]] = {m: [] for m in adaptive.values()}

    def note(quantizer: AsqQuant, _: Any, result: tuple[Tensor, ...]) -> None:
        seen[quantizer].append((result[1] / quantizer.step).flatten().double())

    handles = [m.register_forward_hook(note) for m in adaptive.values()]
    was_training = module.training
    try:
        module.eval()
        for batch in batches:
            module(batch)
    finally:
        module.train(was_training)
        for handle in handles:
            handle.remove()
    if not all(seen.values()):
        raise UserError("an ASQ activation saw no sample to take the mean over; give fold_out batches of inputs.")
    for quantizer, factors in seen.items():
        quantizer.fix(float(torch.cat(factors).mean()))
    return {name: m.fixed_factor or 0.0 for name, m in adaptive.items()}
