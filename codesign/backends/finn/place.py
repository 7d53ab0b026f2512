"""Where an operator is written for FINN: frames channels last, float32 throughout, layouts and sparsity annotated."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from codesign.backends.finn import accumulators
from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.document import GENERAL, Document
from codesign.backends.qonnx.place import Place

MAX_BITS = 32
"""Widest integer of a stream between FINN's layers."""


class FinnPlace(Place):
    """One node of the graph in a document for FINN."""

    channels_last: ClassVar[bool] = True
    target: ClassVar[str] = "FINN layer"

    def carrier(self, largest: int, what: str) -> Any:
        """Return float32, which FINN carries every integer in; its hardware knows their true widths."""
        if largest > 1 << MAX_BITS:
            self.refuse(f"{what} exceeds {MAX_BITS} bits")
        return np.float32

    @classmethod
    def complete(cls, document: Document) -> None:
        """Annotate the layout of every tensor of a frame."""
        for tensor in document.tensors():
            if len(document.shape(tensor)) == 4:
                document.annotate(tensor, "tensor_layout", str(["N", "H", "W", "C"]))

    def datatype(self, edge: str) -> str:
        """Return the QONNX datatype of the stream of an edge."""
        if edge in accumulators.wide_bits(self.graph):
            return "UINT2"
        return datatypes.name(accumulators.of(self.graph, edge).type)

    def bits(self, edge: str) -> int:
        """Return the bits of an element on the stream of an edge."""
        if edge in accumulators.wide_bits(self.graph):
            return 2
        return accumulators.of(self.graph, edge).type.bits

    @property
    def bits_in(self) -> int:
        """Bits of an element that is read."""
        return self.bits(self.node.inputs[0])

    @property
    def bits_out(self) -> int:
        """Bits of an element that leaves."""
        return self.bits(self.name)

    @property
    def adds_offset(self) -> bool:
        """Whether a bias or the like is added by a layer of its own."""
        offset = accumulators.own_offset(self.graph, self.node)
        return offset is not None and accumulators.of(self.graph, self.name).offset is None

    def end(self, tensor: str) -> None:
        """Make a tensor, the newest one, the edge of this node."""
        self.carrier(datatypes.magnitude(self.y.type), f"its type {self.y.type}")
        self.document.rename(tensor, self.name, self.datatype(self.name))

    def windows(self, kernel: Any, stride: Any, padding: Any, depthwise: bool) -> str:
        """Add an Im2Col of the first edge and return its output (1, rows, columns, taps · channels)."""
        height, width, channels = self.x.shape
        top, bottom, left, right = padding
        if (height == 1 and (kernel[0] > 1 or top + bottom)) or (width == 1 and (kernel[1] > 1 or left + right)):
            self.refuse("FINN slides no window over an axis of one pixel")
        rows = (height + top + bottom - kernel[0]) // stride[0] + 1
        columns = (width + left + right - kernel[1]) // stride[1] + 1
        return self.add(
            "Im2Col",
            [self.read(np.float32)],
            (1, rows, columns, kernel[0] * kernel[1] * channels),
            np.float32,
            datatype=self.datatype(self.node.inputs[0]),
            domain=GENERAL,
            kernel_size=list(kernel),
            stride=list(stride),
            input_shape=f"(1,{height},{width},{channels})",
            pad_amount=[top, left, bottom, right],
            pad_value=0,
            depthwise=int(depthwise),
            dilations=[1, 1],
        )

    def product(self, x: str, matrix: np.ndarray, depthwise_kernel: Any = None) -> str:
        """Add the product with constant weights, and the offset unless thresholds have it; return the sum.

        Parameters
        ----------
        x : str
        matrix : ndarray of int, shape (terms, channels)
        depthwise_kernel : (int, int), optional
            The weights are those of a depthwise convolution with this kernel, zero elsewhere.
        """
        shape = self.shape(self.y)
        if accumulators.is_xnor(self.graph, self.node):
            weights = self.constant((matrix + 1) // 2, np.float32, "BINARY")
            y = self.add("XnorPopcountMatMul", [x, weights], shape, np.float32, datatype="UINT32", domain=GENERAL)
        else:
            used = matrix if depthwise_kernel is None else matrix[matrix != 0]
            # The zeros between the channels of a depthwise convolution are no weights.
            weights = self.constant(matrix, np.float32, datatypes.of_weights(used) if used.size else "INT2")
            if depthwise_kernel is not None:
                sparsity = {"dw": {"kernel_shape": list(depthwise_kernel)}}
                self.document.annotate(weights, "tensor_sparsity", str(sparsity))
            product = datatypes.name(accumulators.product_type(self.graph, self.node))
            y = self.add("MatMul", [x, weights], shape, np.float32, datatype=product)
        offset = accumulators.own_offset(self.graph, self.node)
        if offset is None or not self.adds_offset:
            return y
        constant = self.constant(offset, np.float32, datatypes.of_values(offset))
        return self.add("Add", [y, constant], shape, np.float32)

    def thresholds(self, x: str, levels: np.ndarray, offset: int) -> None:
        """Add a MultiThreshold, the last node here; levels (rows, steps) are those of the edge's values."""
        held = accumulators.of(self.graph, self.node.inputs[0])
        if held.offset is not None:
            levels = levels - held.offset[:, None]
        levels = np.clip(levels, held.type.min, held.type.max + 1)
        constant = self.constant(levels, np.float32, datatypes.of_values(levels))
        self.end(
            self.add(
                "MultiThreshold",
                [x, constant],
                self.shape(self.x),
                np.float32,
                domain=GENERAL,
                out_dtype=self.datatype(self.name),
                out_bias=float(offset),
                data_layout=self.layout,
            )
        )
