"""What the quantizers of several methods share: the parts that Brevitas looks up on a `tensor_quant`."""

from __future__ import annotations

from typing import Any

from brevitas.core.bit_width import BitWidthConst
from brevitas.core.function_wrapper import Identity
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.proxy import WeightQuantProxyFromInjector
from torch import Tensor, nn

from codesign.errors import UserError


class Quantizer(nn.Module):
    """Base of a Brevitas `tensor_quant` of fixed width without a zero point.

    Parameters
    ----------
    bits : int
        Width of the integers, value / scale, as the quantised tensor reports it.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.zero_point_impl = ZeroZeroPoint()
        self.msb_clamp_bit_width_impl = BitWidthConst(bits)
        self.int_quant = _IntView()

    def described(self, value: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return (value, scale, zero point, bit width)."""
        bit_width = self.msb_clamp_bit_width_impl()
        return value, scale, self.zero_point_impl(value, scale, bit_width), bit_width


class _IntView(nn.Module):
    """What Brevitas looks up on the inner quantizer: no reshaping of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.input_view_impl = Identity()


class WeightProxy(WeightQuantProxyFromInjector):
    """Brevitas proxy of weights that are more than their nearest multiples of a scale.

    Brevitas' exporters write float weights and a scale, to which the weights are rounded. That would
    silently be other weights here, so that exporting is refused.
    """

    @property
    def export_mode(self) -> bool:
        """Whether Brevitas exports the layer: never."""
        return False

    @export_mode.setter
    def export_mode(self, value: bool) -> None:
        if value:
            raise UserError(
                f"Brevitas cannot export weights of {type(self.tensor_quant).__name__}, which are not float weights "
                "rounded to a scale; convert the network by codesign.api.from_brevitas instead."
            )


def channel_shape(module: Any) -> tuple[int, ...]:
    """Return the shape of one scale per output channel: (outputs, 1, …).

    That is one for each index of the first dimension of the weights: the output channels of convolutions and dense
    layers. Transposed convolutions have their input channels first, so that theirs is one per input channel.

    Parameters
    ----------
    module : Module or tuple of Module
        As Brevitas injects it: the layer, or all layers that share the quantizer.
    """
    weight = (module[0] if isinstance(module, tuple) else module).weight
    return (weight.shape[0],) + (1,) * (weight.ndim - 1)
