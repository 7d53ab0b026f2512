"""Trained Brevitas modules to integer graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from codesign.errors import UserError
from codesign.frontends import brevitas_quantizers as quantizers
from codesign.frontends.brevitas_step import Step
from codesign.frontends.brevitas_trace import label as label_of
from codesign.frontends.brevitas_trace import trace
from codesign.frontends.brevitas_walk import Walk
from codesign.frontends.lowering import Lowering
from codesign.ir.graph import Graph
from codesign.ir.types import IntType


@dataclass(frozen=True)
class Imported:
    """A converted module.

    Parameters
    ----------
    graph : Graph
        Simplified.
    lowering : Lowering
        With the frozen constants of every quantiser, by fx node name.
    module : torch.fx.GraphModule
        The traced module, in evaluation mode.
    input_scale, input_offset : ndarray of float64
        Per input channel, real = scale · integer + offset.
    biases : dict of str to ndarray of float64
        Bias of every layer that has one, as its own quantiser rounds it, by fx node name.
    orders : dict of str to ndarray of int64
        For quantisers behind a flatten, by their key in `lowering.requantizations`: see `Step.order`.
    """

    graph: Graph
    lowering: Lowering
    module: fx.GraphModule
    input_scale: np.ndarray
    input_offset: np.ndarray
    biases: dict[str, np.ndarray]
    orders: dict[str, np.ndarray]


def from_brevitas(
    model: nn.Module,
    example_input: torch.Tensor,
    *,
    input_type: IntType | None = None,
    input_scale: float | Sequence[float] | None = None,
    input_offset: float | Sequence[float] = 0.0,
    name: str = "network",
) -> Graph:
    """Convert a trained Brevitas module to an integer graph.

    Parameters
    ----------
    model : torch.nn.Module
        Conv2d and Linear layers of `brevitas.nn` with quantised weights; every value that enters one is
        quantised (QuantReLU, QuantIdentity, QuantHardTanh) or a sum pool of quantised values. Batch norm,
        ReLU, pooling, flatten, dropout, additions and arithmetic with constants may stand between them.
    example_input : torch.Tensor
        One batch, (frames, channels, height, width) or (frames, features). An integer tensor is taken for the
        sensor's raw values and gives `input_type`; of a float tensor only the shape is read.
    input_type : IntType, optional
        Integers that the sensor gives; unsigned 8 bits by default.
    input_scale, input_offset : float or one per channel
        What the module was trained on is scale · integer + offset. With a float example and without a scale,
        the module must begin with a quantiser: the graph then takes that quantiser's integers.
    name : str
        For people.

    Returns
    -------
    Graph
        Its input is channels last: (height, width, channels) or (features,).

    Raises
    ------
    UserError
        Naming the layer that has no exact integer form, and what to do instead.
    """
    return import_brevitas(
        model,
        example_input,
        input_type=input_type,
        input_scale=input_scale,
        input_offset=input_offset,
        name=name,
    ).graph


def import_brevitas(
    model: nn.Module,
    example_input: torch.Tensor,
    *,
    input_type: IntType | None = None,
    input_scale: float | Sequence[float] | None = None,
    input_offset: float | Sequence[float] = 0.0,
    name: str = "network",
) -> Imported:
    """Convert as `from_brevitas` does, and keep the frozen constants for `FrozenModel`."""
    traced = trace(model)
    shape = tuple(example_input.shape[1:])
    if len(shape) not in (1, 3):
        raise UserError(
            f"the example input has shape {tuple(example_input.shape)}; give (frames, channels, height, width) "
            "or (frames, features)."
        )
    channels = shape[0]
    frame = shape if len(shape) == 1 else (shape[1], shape[2], shape[0])
    if input_type is None and not example_input.dtype.is_floating_point:
        input_type = _integers_of(example_input.dtype)
    if input_scale is None:
        if not example_input.dtype.is_floating_point:
            input_scale = 1.0
        else:
            grid = _leading_grid(traced)
            input_scale, input_type = float(grid.scale), IntType.for_range(grid.low, grid.high)
    lowering = Lowering(name)
    scale, offset = (
        np.atleast_1d(np.asarray(input_scale, float)),
        np.atleast_1d(np.asarray(input_offset, float)),
    )
    start = lowering.input(frame, input_type or IntType(8, signed=False), list(scale), list(offset))
    walk = Walk(traced, lowering, Step(start), quantizers.read_biases(traced, shape))
    graph = walk.run()
    wide = np.ones(channels)
    return Imported(graph, lowering, traced, scale * wide, offset * wide, walk.biases, walk.orders)


def _integers_of(dtype: torch.dtype) -> IntType:
    """Return the type of an integer example input."""
    if dtype not in (torch.uint8, torch.int8, torch.int16):
        raise UserError(
            f"the example input holds {dtype}, which does not tell how wide the sensor's integers are; "
            "give input_type=IntType(bits, signed) or an example of torch.uint8."
        )
    info = torch.iinfo(dtype)
    return IntType(info.bits, info.min < 0)


def _leading_grid(traced: fx.GraphModule) -> Any:
    """Return the grid of the quantiser that reads the module's input."""
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            readers = list(node.users)
            if len(readers) == 1 and readers[0].op == "call_module":
                module = traced.get_submodule(str(readers[0].target))
                proxy = getattr(module, "act_quant", None) or getattr(module, "input_quant", None)
                if quantizers.is_quantizer(proxy):
                    return quantizers.read_grid(proxy, label_of(readers[0]))
            break
    raise UserError(
        "the network reads its float input without quantising it; say what the sensor gives by input_scale "
        "(real = scale · integer), or begin the network with a QuantIdentity."
    )
