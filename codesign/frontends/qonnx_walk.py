"""Walking a QONNX graph: each node becomes operators of the integer graph, or another meaning of an edge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from codesign.errors import UserError
from codesign.frontends import (
    qonnx_elementwise,
    qonnx_finn,
    qonnx_folding,
    qonnx_levels,
    qonnx_linear,
    qonnx_pooling,
    qonnx_quantizers,
    qonnx_rounding,
    qonnx_selection,
    qonnx_shapes,
)
from codesign.frontends.lowering import Lowering
from codesign.frontends.qonnx_choices import Chosen
from codesign.frontends.qonnx_constants import MAX_ELEMENTS, Constant
from codesign.frontends.qonnx_file import CHANNELS_LAST, GENERAL, File, Node, clean
from codesign.frontends.qonnx_float32 import DOUBLE
from codesign.frontends.qonnx_requantize import Open, quantize
from codesign.frontends.qonnx_stream import NO_PADDING, LayoutError, Stream
from codesign.ir.graph import Graph
from codesign.ir.ops import Dyadic, SelectDyadic
from codesign.ir.tensor import Tensor

MAX_EDGE = 1 << 26
"""Largest edge in elements per frame."""

MAX_OPERATORS = 1000
"""Most operators of the integer graph, before it is simplified."""

MAX_WORK = 1 << 20
"""Channels of all nodes together, and a 64th of all weights."""


def is_integer(kind: str) -> bool:
    """Tell whether a QONNX data type is one of integers: the executor rounds what is annotated with it."""
    return kind in ("BINARY", "BIPOLAR", "TERNARY") or kind.startswith(("INT", "UINT"))


class Walk:
    """Walks the nodes of a file once, in order.

    Parameters
    ----------
    file : File
    lowering : Lowering
    start : dict of str to Stream
        What is known beforehand: the input, or what its quantiser makes.
    batch : int
        Extent of the first axis in the file.
    exact : bool
        See `qonnx_requantize.quantize`.
    """

    def __init__(self, file: File, lowering: Lowering, start: dict[str, Stream], batch: int, exact: bool) -> None:
        self.file = file
        self.lowering = lowering
        self.batch = batch
        self.exact = exact
        self.streams = dict(start)
        self.constants = {name: Constant(values) for name, values in file.constants.items()}
        self.open: list[Open] = []
        self.shifts: dict[str, tuple[tuple[str, ...], Dyadic | SelectDyadic]] = {}
        self.chosen = Chosen(self)
        self.left = MAX_WORK
        self.room = 2 * MAX_ELEMENTS
        self.output_axes = ""
        self.output_error = 0.0
        self.output_plain = False

    def run(self) -> Graph:
        """Lower every node and return the graph."""
        for name, kind in self.file.annotations.items():
            values = self.file.constants.get(name)
            if values is not None and is_integer(kind) and (values != np.rint(values)).any():
                raise UserError(
                    f"the initializer {clean(name)!r} is annotated as {kind[:12]!r} but holds no integers; "
                    "remove the annotation."
                )
        for node in self.file.nodes:
            if not any(name in self.streams for name in node.outputs):
                self._lower(node)
        label = self.file.nodes[-1].label
        if self.file.output not in self.streams:
            raise UserError("the network's output does not depend on its input; export it again.")
        result = qonnx_rounding.narrowed(self, self._settled(self.streams[self.file.output], label), label)
        self.output_axes = result.axes
        if result.window is not None:
            raise UserError("the network ends in windows (Im2Col) that no product reads; export the whole network.")
        if result.order is not None:
            raise UserError("the network returns a flattened frame; end it with a dense layer or drop the flatten.")
        self.output_error = float(result.actual(self.edge(result).type).error.max())
        self.output_plain = (result.value.scale or 0) > 0
        return self.lowering.finish(result.value, label)

    def _lower(self, node: Node) -> None:
        where = self.where(node)
        if chosen := self.chosen.lower(node):
            if isinstance(chosen, Stream):
                self._keep(node, chosen, where)
            return
        if not any(name in self.streams for name in node.inputs):
            inputs = [self.optional(node, place) for place in range(len(node.inputs))]
            if any(name for name in node.outputs[1:]):
                raise UserError(
                    f"{where} makes several constants, which is not supported; fold constants when exporting."
                )
            made = qonnx_folding.fold(node, inputs, where)
            if made.values.base is None:  # else a view of another constant
                self.room -= made.values.size
            if self.room < 0:
                raise UserError(f"{where} makes constants without end; fold constants when exporting.")
            self.constants[node.outputs[0]] = made
            return
        if node.op == "Shape" and node.domain == "":
            shape = (self.batch, *self.shape(self.stream(node, 0))[1:])
            begin, end = node.attribute("start", 0), node.attribute("end", len(shape))
            self.constants[node.outputs[0]] = Constant(np.array(shape[begin:end], dtype=np.int64))
            return
        handler = _HANDLERS.get((node.domain, node.op))
        if handler is None:
            raise UserError(f"{where} is an operator that is not supported; see 'Supported layers' in the README.")
        if node.op not in _DOUBLES and any(
            name in self.streams and self.streams[name].precision is DOUBLE for name in node.inputs
        ):
            raise UserError(f"{where} computes in float64, which is not supported for it; cast to float32 before it.")
        self._keep(node, handler(self, node), where)

    def _keep(self, node: Node, made: Stream, where: str) -> None:
        """Take what a node makes as the meaning of its output, within what is supported."""
        self.spend(len(made.affines), where)
        if int(self.lowering.builder.newest[1:]) >= MAX_OPERATORS:
            raise UserError(f"{where} is more than {MAX_OPERATORS:,} operators deep; split the network.")
        output = node.outputs[1] if node.op == "TopK" else node.outputs[0]
        if self.edge(made).size > MAX_EDGE:
            raise UserError(f"{where} makes frames of {self.edge(made).size:,} numbers, too many for any hardware.")
        self._require_annotation(made, output, where)
        self.streams[output] = made

    def _require_annotation(self, x: Stream, name: str, where: str) -> None:
        """Refuse an integer type that a tensor is annotated with unless it holds integers: the executor would round."""
        kind = self.file.annotations.get(name, "")
        if not is_integer(kind):
            return
        whole = all(a.scale.denominator == 1 and a.offset.denominator == 1 for a in x.affines)
        if not whole:
            raise UserError(
                f"{where} makes a tensor that is annotated as {kind[:12]!r} but holds no integers; "
                "remove the annotation."
            )
        if x.actual(self.edge(x).type).error.any():
            raise UserError(
                f"{where} makes a tensor that is annotated as {kind[:12]!r}, which its float does not hold exactly; "
                "let it be float64, or narrow what goes into the sum."
            )

    def spend(self, work: int, where: str) -> None:
        """Count work, and refuse a network that would take hours to convert."""
        self.left -= work
        if self.left < 0:
            raise UserError(f"{where} makes the network larger than any FPGA holds; split or prune it.")

    # What the operators ask ---------------------------------------------------------------------------------

    def where(self, node: Node) -> str:
        """Name a node for a message."""
        return f"node {node.label!r} ({node.op})"

    def edge(self, x: Stream) -> Tensor:
        """Return the edge of a stream."""
        return self.lowering.builder.edge(x.edge)

    def shape(self, x: Stream) -> tuple[int, ...]:
        """Return the shape of the ONNX tensor of one frame."""
        return x.shape(self.edge(x).shape)

    def is_stream(self, node: Node, place: int) -> bool:
        """Tell whether an input depends on the network's input."""
        return node.inputs[place] in self.streams

    def stream(self, node: Node, place: int, keep_padding: bool = False, keep_window: bool = False) -> Stream:
        """Return an input that depends on the network's input."""
        if place >= len(node.inputs) or node.inputs[place] not in self.streams:
            raise UserError(
                f"{self.where(node)} reads a constant where the network's activations are expected; export it again."
            )
        x = self.streams[node.inputs[place]]
        if x.window is not None and not keep_window:
            raise UserError(f"{self.where(node)} reads windows of an Im2Col, which only a product with weights can.")
        return x if keep_padding else self._settled(x, node.label)

    def _settled(self, x: Stream, label: str) -> Stream:
        """Return the stream with its padding added to the edge."""
        if x.padding == NO_PADDING:
            return x
        return self.padded(dataclasses.replace(x, padding=NO_PADDING), x.padding, label)

    def framed(self, node: Node, place: int, axes: str, **keep: bool) -> Stream:
        """Return an input whose axes come in this order; see `stream` for the rest."""
        x = self.stream(node, place, **keep)
        if x.axes != axes:
            raise LayoutError(
                f"{self.where(node)} needs frames with the axes {axes} and finds {x.axes}; transpose before it."
            )
        return x

    def features(self, node: Node, place: int) -> Stream:
        """Return an input that is a vector per frame."""
        x = self.stream(node, place)
        if x.axes != "NF":
            raise UserError(f"{self.where(node)} needs (frames, features) and reads frames; put a Flatten before it.")
        return x

    def linear(self, x: Stream, node: Node) -> Stream:
        """Return the stream without a clamp, refusing one that is float."""
        if not x.linear:
            x = qonnx_rounding.narrowed(self, x, node.label)
        if not x.linear:
            raise UserError(f"{self.where(node)} reads an activation that is not quantised; put a Quant before it.")
        return x

    def constant(self, node: Node, place: int) -> Constant:
        """Return an input that is constant."""
        found = self.optional(node, place)
        if found is None:
            raise UserError(f"{self.where(node)} lacks a constant input; export the network again.")
        return found

    def optional(self, node: Node, place: int) -> Constant | None:
        """Return an input that is constant, or None when it is left out."""
        if place >= len(node.inputs) or not node.inputs[place]:
            return None
        if node.inputs[place] not in self.constants:
            raise UserError(
                f"{self.where(node)} reads an activation where a constant is expected, which is not supported."
            )
        return self.constants[node.inputs[place]]

    def per_channel(self, x: Stream, values: np.ndarray, where: str) -> np.ndarray:
        """Return a constant that meets a stream in its float, of shape () or (channels,), in the order of the edge.

        Raises
        ------
        UserError
            When it is another type, or varies along other axes than the channels.
        """
        if values.dtype != x.precision.dtype:
            raise UserError(f"{where} has a constant of type {values.dtype}; use {np.dtype(x.precision.dtype)}.")
        if values.size == 1 and values.ndim <= len(x.axes):
            return values.reshape(())
        place = x.channel_axis - len(x.axes) + values.ndim
        channels = len(x.affines)
        shape = tuple(channels if axis == place else 1 for axis in range(values.ndim))
        if values.ndim > len(x.axes) or values.shape != shape:
            raise UserError(
                f"{where} has a constant of shape {values.shape} that is neither one number nor one per "
                f"channel ({channels})."
            )
        flat = values.reshape(-1)
        return flat if x.order is None else flat[x.order]

    def flattened(self, x: Stream, label: str) -> Stream:
        """See `qonnx_shapes.flattened`."""
        return qonnx_shapes.flattened(self, x, label)

    def padded(self, x: Stream, padding: tuple[int, int, int, int], label: str) -> Stream:
        """See `qonnx_shapes.padded`."""
        return qonnx_shapes.padded(self, x, padding, label)

    # Quantisers ---------------------------------------------------------------------------------------------

    def quantized(self, x: Stream, quantizer: qonnx_quantizers.Quantizer, node: Node) -> Stream:
        """Add the operator of a quantiser."""
        made, found = quantize(self.lowering, x, quantizer, node.label, self.exact)
        if found is not None:
            self.open.append(found)
        return made

    def same(self, node: Node) -> Stream:
        """Pass what changes nothing in evaluation."""
        if node.op == "Dropout" and (mode := self.optional(node, 2)) is not None and mode.values.any():
            raise UserError(f"{self.where(node)} is in training mode; export the network in evaluation mode.")
        return self.stream(node, 0, keep_padding=True)

    def reduce_sum(self, node: Node) -> Stream:
        """Lower a ReduceSum over whole frames."""
        return qonnx_pooling.reduce_mean(self, node, divide=False)

    def refused_end(self, node: Node) -> Stream:
        """Refuse a softmax, which makes no integers."""
        raise UserError(f"{self.where(node)} makes probabilities, not integers; let the network end in its logits.")


Handler = Callable[[Walk, Node], Stream]

_HANDLERS: dict[tuple[str, str], Handler] = {
    **{("", op): qonnx_elementwise.arithmetic for op in ("Add", "Sub", "Mul", "Div")},
    **{("", op): Walk.same for op in ("Identity", "Dropout")},
    **{("", op): qonnx_rounding.rounded for op in ("Floor", "Ceil", "Round")},
    **{("", op): qonnx_elementwise.extreme for op in ("Max", "Min")},
    **{("", op): Walk.refused_end for op in ("Softmax", "LogSoftmax")},
    ("", "ArgMax"): qonnx_selection.arg_max,
    ("", "AveragePool"): qonnx_pooling.average_pool,
    ("", "BatchNormalization"): qonnx_elementwise.normalisation,
    ("", "Cast"): qonnx_elementwise.cast,
    ("", "Clip"): qonnx_elementwise.clip,
    ("", "Concat"): qonnx_shapes.concat,
    ("", "Conv"): qonnx_linear.conv,
    ("", "Flatten"): qonnx_shapes.flatten,
    ("", "Gemm"): qonnx_linear.gemm,
    ("", "GlobalAveragePool"): qonnx_pooling.global_average,
    ("", "MatMul"): qonnx_linear.matmul,
    ("", "MaxPool"): qonnx_pooling.max_pool,
    ("", "Neg"): qonnx_elementwise.negative,
    ("", "Pad"): qonnx_shapes.pad,
    ("", "ReduceMean"): qonnx_pooling.reduce_mean,
    ("", "ReduceSum"): Walk.reduce_sum,
    ("", "Relu"): qonnx_elementwise.relu,
    ("", "Reshape"): qonnx_shapes.reshape,
    ("", "Sign"): qonnx_levels.sign,
    ("", "Squeeze"): qonnx_shapes.squeeze,
    ("", "TopK"): qonnx_selection.top_k,
    ("", "Transpose"): qonnx_shapes.transpose,
    (GENERAL, "BipolarQuant"): qonnx_levels.bipolar,
    (GENERAL, "Im2Col"): qonnx_finn.im2col,
    (GENERAL, "IntQuant"): qonnx_levels.quant,
    (GENERAL, "MaxPoolNHWC"): qonnx_pooling.max_pool,
    (GENERAL, "MultiThreshold"): qonnx_levels.multi_threshold,
    (GENERAL, "Quant"): qonnx_levels.quant,
    (GENERAL, "QuantAvgPool2d"): qonnx_finn.average_pool,
    (GENERAL, "Trunc"): qonnx_levels.trunc,
    (GENERAL, "XnorPopcountMatMul"): qonnx_finn.xnor_popcount,
    (CHANNELS_LAST, "BatchNormalization"): qonnx_elementwise.normalisation,
    (CHANNELS_LAST, "Conv"): qonnx_linear.conv,
    (CHANNELS_LAST, "MaxPool"): qonnx_pooling.max_pool,
}

_DOUBLES = frozenset(
    {"Add", "ArgMax", "Cast", "Ceil", "Clip", "Flatten", "Floor", "Identity", "MatMul", "Max", "MaxPool", "Min"}
    | {"Mul", "MultiThreshold", "Neg", "Reshape", "Round", "Shape", "Sub", "Transpose"}
)
"""Operators that may read float64."""
