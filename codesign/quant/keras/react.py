"""Binary activations of ReActNet for QKeras; see `codesign.quant.react` for formulas and references."""

from __future__ import annotations

from typing import Any

from codesign.quant.keras._base import Quantizer, public
from codesign.quant.keras.sign import SignWeight, step
from codesign.quant.sign import require_one_bit


@public
class ReactActivation(Quantizer):
    """Binary activations 0 and 1 of x + b_c, with a learned shift b for each channel, the last axis."""

    def build(self, shape: Any) -> None:
        """Make the shifts."""
        self.shift = self.parameter("act_quant.shift_quant.value", (int(shape[-1]),))
        super().build(shape)

    def call(self, x: Any) -> Any:
        """Return the step of the shifted `x`."""
        return step(x + self.shift, smooth=True)


def weight(bits: int, per_channel: bool, depthwise: bool) -> Quantizer:
    """Return the quantizer of a kernel, that of `sign`.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "react")
    return SignWeight(per_channel, depthwise)


def activation(bits: int, signed: bool) -> Quantizer:
    """Return the quantizer of an activation, in the place of a ReLU.

    Raises
    ------
    ValueError
        When `bits` is not 1, or it is `signed`.
    """
    require_one_bit(bits, "react")
    if signed:
        raise ValueError("its activations are 0 and 1, which operands of an addition cannot be")
    return ReactActivation()
