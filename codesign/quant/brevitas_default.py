"""Brevitas' own default quantizers: float scales, that of the weights from their greatest magnitude.

`Int8WeightPerChannelFloat` or `Int8WeightPerTensorFloat`, `Uint8ActPerTensorFloat` and `Int8ActPerTensorFloat` at
the width asked for. One thing differs: the learned scale of an activation starts from the statistics of the first
batch rather than of 300 batches, so that it exists when a training begins, in the optimizer, in averages of the
weights and in a training that is resumed.
"""

from __future__ import annotations

from typing import Any

import torch
from brevitas.core.scaling import ParameterFromRuntimeStatsScaling
from brevitas.inject import ExtendedInjector
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFloat,
    Uint8ActPerTensorFloat,
)
from torch import Tensor, nn

from codesign.quant.lsq import code_range


class FirstBatchScaling(ParameterFromRuntimeStatsScaling):
    """Brevitas' learned scale, set by the first batch at once, and always part of the state.

    0 in the state stands for a scale not set yet. Parameters are those of the base class.
    """

    counter: int

    def __init__(
        self,
        scaling_stats_impl: nn.Module,
        scaling_stats_input_view_shape_impl: nn.Module,
        restrict_scaling_impl: nn.Module,
        scaling_shape: tuple[int, ...],
        scaling_min_val: float | None = None,
    ) -> None:
        super().__init__(
            1,
            scaling_stats_impl,
            scaling_stats_input_view_shape_impl,
            scaling_shape,
            restrict_scaling_impl,
            scaling_min_val=scaling_min_val,
        )
        with torch.no_grad():
            self.value.zero_()

    def init_scale(self) -> None:
        """Take over the statistics of the first batch."""
        if self.counter <= self.collect_stats_steps:
            self.restrict_inplace_preprocess(self.buffer)
            with torch.no_grad():
                self.value.copy_(self.buffer)
            self.counter = self.collect_stats_steps + 1

    def training_forward(self, stats_input: Tensor, threshold: Tensor) -> Tensor:
        """Return the scale; the first batch sets it."""
        # The state may have been written from outside.
        if self.counter <= self.collect_stats_steps and bool((self.value != 0).all()):
            self.counter = self.collect_stats_steps + 1
        scale = super().training_forward(stats_input, threshold)
        if self.counter == self.collect_stats_steps:
            self.init_scale()
        return scale

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        """Return the state with the learned scale, whatever is known of it."""
        state = nn.Module.state_dict(self, *arguments, **options)
        prefix = options.get("prefix", arguments[1] if len(arguments) > 1 else "")
        del state[f"{prefix}buffer"]
        return state

    def _load_from_state_dict(self, *arguments: Any) -> None:
        super()._load_from_state_dict(*arguments)
        if bool((self.value == 0).any()):
            self.counter = 0


class _Once(ExtendedInjector):
    scaling_impl = FirstBatchScaling


class DefaultActUnsigned(_Once, Uint8ActPerTensorFloat):
    """`Uint8ActPerTensorFloat`, set by its first batch."""


class DefaultActSigned(_Once, Int8ActPerTensorFloat):
    """`Int8ActPerTensorFloat`, set by its first batch."""


def weight(bits: int, per_channel: bool) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method.

    Raises
    ------
    ValueError
        When `bits` is less than 2.
    """
    code_range(bits, signed=True, narrow=True)
    return (Int8WeightPerChannelFloat if per_channel else Int8WeightPerTensorFloat).let(bit_width=bits)


def activation(bits: int, signed: bool) -> type[ExtendedInjector]:
    """Return the Brevitas activation quantizer of this method.

    Raises
    ------
    ValueError
        When no positive code is left.
    """
    code_range(bits, signed, narrow=False)
    return (DefaultActSigned if signed else DefaultActUnsigned).let(bit_width=bits)
