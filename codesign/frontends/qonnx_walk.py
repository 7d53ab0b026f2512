"""Walking a QONNX graph: each node becomes operators of the integer graph, or another meaning of an edge."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from codesign.errors import UserError
from codesign.frontends import (
    qonnx_elementwise,
    qonnx_folding,
    qonnx_linear,
    qonnx_pooling,
    qonnx_quantizers,
    qonnx_selection,
    qonnx_shapes,
)
from codesign.frontends.lowering import Lowering
from codesign.frontends.qonnx_constants import Constant
from codesign.frontends.qonnx_file import CHANNELS_LAST, GENERAL, File, Node, clean
from codesign.frontends.qonnx_requantize import Open, quantize
from codesign.frontends.qonnx_stream import NO_PADDING, Stream
from codesign.ir.graph import Graph
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


class LayoutError(UserError):
    """An operator that finds the axes of its input in another order than it needs."""


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
        self.left = MAX_WORK
        self.output_axes = ""
        self.output_error = 0.0

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
        result = self._settled(self.streams[self.file.output], label)
        self.output_axes = result.axes
        if result.order is not None:
            raise UserError("the network returns a flattened frame; end it with a dense layer or drop the flatten.")
        self.output_error = float(result.actual(self.edge(result).type).error.max())
        return self.lowering.finish(result.value, label)

    def _lower(self, node: Node) -> None:
        where = self.where(node)
        if not any(name in self.streams for name in node.inputs):
            inputs = [self.constants[name] if name else None for name in node.inputs]
            if any(name for name in node.outputs[1:]):
                raise UserError(
                    f"{where} makes several constants, which is not supported; fold constants when exporting."
                )
            self.constants[node.outputs[0]] = qonnx_folding.fold(node, inputs, where)
            return
        if node.op == "Shape" and node.domain == "":
            shape = (self.batch, *self.shape(self.stream(node, 0))[1:])
            begin, end = node.attribute("start", 0), node.attribute("end", len(shape))
            self.constants[node.outputs[0]] = Constant(np.array(shape[begin:end], dtype=np.int64))
            return
        handler = _HANDLERS.get((node.domain, node.op))
        if handler is None:
            raise UserError(f"{where} is an operator that is not supported; see 'Supported layers' in the README.")
        made = handler(self, node)
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
        if not whole or x.actual(self.edge(x).type).error.any():
            raise UserError(
                f"{where} makes a tensor that is annotated as {kind[:12]!r} but holds no integers; "
                "remove the annotation."
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

    def stream(self, node: Node, place: int, keep_padding: bool = False) -> Stream:
        """Return an input that depends on the network's input."""
        if place >= len(node.inputs) or node.inputs[place] not in self.streams:
            raise UserError(
                f"{self.where(node)} reads a constant where the network's activations are expected; export it again."
            )
        x = self.streams[node.inputs[place]]
        return x if keep_padding else self._settled(x, node.label)

    def _settled(self, x: Stream, label: str) -> Stream:
        """Return the stream with its padding added to the edge."""
        if x.padding == NO_PADDING:
            return x
        return self.padded(dataclasses.replace(x, padding=NO_PADDING), x.padding, label)

    def framed(self, node: Node, place: int, axes: str, keep_padding: bool = False) -> Stream:
        """Return an input whose axes come in this order."""
        x = self.stream(node, place, keep_padding)
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
            x = qonnx_elementwise.without_negatives(self, x, node.label)
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
        """Return a constant that meets a stream as float32 of shape () or (channels,), in the order of the edge.

        Raises
        ------
        UserError
            When it is not float32, or varies along other axes than the channels.
        """
        if values.dtype != np.float32:
            raise UserError(f"{where} has a constant of type {values.dtype}; use float32.")
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

    def quant(self, node: Node) -> Stream:
        """Lower a Quant."""
        x, where = self.stream(node, 0), self.where(node)
        parameters = qonnx_quantizers.read_quant(
            node, [self.optional(node, place) for place in range(1, len(node.inputs))]
        )
        return self.quantized(
            x, qonnx_quantizers.quant(node, parameters, lambda values: self.per_channel(x, values, where)), node
        )

    def bipolar(self, node: Node) -> Stream:
        """Lower a BipolarQuant."""
        x, where = self.stream(node, 0), self.where(node)
        scale = self.optional(node, 1)
        return self.quantized(
            x, qonnx_quantizers.bipolar(node, scale, lambda values: self.per_channel(x, values, where)), node
        )

    def sign(self, node: Node) -> Stream:
        """Lower a Sign."""
        return self.quantized(self.stream(node, 0), qonnx_quantizers.sign(), node)

    def trunc(self, node: Node) -> Stream:
        """Lower a Trunc."""
        x = self.stream(node, 0)
        type = self.edge(x).type
        ends = np.array([[type.min], [type.max]], dtype=np.int64)

        def reached(levels: qonnx_quantizers.Levels) -> tuple[int, int]:
            found = np.stack([levels(side) for side in x.numbers(ends)])
            if not np.isfinite(found).all() or np.abs(found).max() >= 1 << 24:
                raise UserError(f"{self.where(node)} truncates numbers beyond float32; scale the network down.")
            return int(found.min()), int(found.max())

        parameters = [self.optional(node, place) for place in range(1, len(node.inputs))]
        return self.quantized(x, qonnx_quantizers.trunc(node, parameters, reached), node)

    def multi_threshold(self, node: Node) -> Stream:
        """Lower a MultiThreshold."""
        x, where = self.stream(node, 0), self.where(node)
        layout = node.attribute("data_layout", "")
        axis = layout.index("C") if "C" in layout and len(layout) == len(x.axes) else 1
        channels = len(x.affines)

        def rows(table: np.ndarray) -> np.ndarray:
            if len(table) == 1:
                return table
            if axis != x.channel_axis:
                raise LayoutError(f"{where} has thresholds for axis {axis} of {x.axes}, which are not the channels.")
            if len(table) != channels:
                raise UserError(f"{where} has thresholds for {len(table)} channels and reads {channels}.")
            return table if x.order is None else table[x.order]

        return self.quantized(x, qonnx_quantizers.multi_threshold(node, self.optional(node, 1), rows), node)

    def same(self, node: Node) -> Stream:
        """Pass what changes nothing in evaluation."""
        if node.op == "Cast" and node.attribute("to", 0) != 1:
            raise UserError(
                f"{self.where(node)} casts activations to another type than float32, which is not supported."
            )
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
    **{("", op): Walk.same for op in ("Identity", "Dropout", "Cast")},
    **{("", op): Walk.refused_end for op in ("Softmax", "LogSoftmax")},
    ("", "ArgMax"): qonnx_selection.arg_max,
    ("", "AveragePool"): qonnx_pooling.average_pool,
    ("", "BatchNormalization"): qonnx_elementwise.normalisation,
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
    ("", "Sign"): Walk.sign,
    ("", "Squeeze"): qonnx_shapes.squeeze,
    ("", "TopK"): qonnx_selection.top_k,
    ("", "Transpose"): qonnx_shapes.transpose,
    (GENERAL, "BipolarQuant"): Walk.bipolar,
    (GENERAL, "IntQuant"): Walk.quant,
    (GENERAL, "MaxPoolNHWC"): qonnx_pooling.max_pool,
    (GENERAL, "MultiThreshold"): Walk.multi_threshold,
    (GENERAL, "Quant"): Walk.quant,
    (GENERAL, "Trunc"): Walk.trunc,
    (CHANNELS_LAST, "BatchNormalization"): qonnx_elementwise.normalisation,
    (CHANNELS_LAST, "Conv"): qonnx_linear.conv,
    (CHANNELS_LAST, "MaxPool"): qonnx_pooling.max_pool,
}
