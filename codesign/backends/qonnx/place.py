"""Where an operator is written: its node, its tensors, and the floats that carry them exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import numpy as np

from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.document import Document
from codesign.errors import UserError
from codesign.ir import Graph, Node, Tensor


@dataclass(frozen=True)
class Place:
    """One node of the graph in a document.

    Parameters
    ----------
    document : Document
    graph : Graph
    node : Node

    Attributes
    ----------
    channels_last : bool
        Frames are (1, height, width, channels) instead of (1, channels, height, width).
    target : str
        What operators are written as, in words.
    """

    channels_last: ClassVar[bool] = False
    target: ClassVar[str] = "exact form in ONNX"

    document: Document
    graph: Graph
    node: Node

    @property
    def op(self) -> Any:
        """The operator."""
        return self.node.op

    @property
    def x(self) -> Tensor:
        """The edge that the node reads first."""
        return self.graph.edges[self.node.inputs[0]]

    @property
    def y(self) -> Tensor:
        """The edge that the node makes."""
        return self.graph.edges[self.node.name]

    @property
    def name(self) -> str:
        """Name of the node, "n3"."""
        return self.node.name

    @property
    def layout(self) -> str:
        """Layout of the edge that is read, as QONNX writes it."""
        if len(self.x.shape) == 1:
            return "NC"
        return "NHWC" if self.channels_last else "NCHW"

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the shape of an edge in the document."""
        return frame_shape(tensor, self.channels_last)

    def per_channel(self, values: np.ndarray) -> np.ndarray:
        """Return values (…, channels) in the shape that meets the first edge: (…, 1, channels, 1, 1), for example."""
        lead = values.shape[:-1]
        if len(self.x.shape) == 1:
            return values.reshape(*lead, values.shape[-1])
        if self.channels_last:
            return values.reshape(*lead, 1, 1, values.shape[-1])
        return values.reshape(*lead, values.shape[-1], 1, 1)

    def carrier(self, largest: int, what: str) -> Any:
        """Return the float that carries integers up to `largest`.

        Raises
        ------
        UserError
            When there is none; the sentence names the node.
        """
        found = datatypes.carrier(largest)
        if found is None:
            self.refuse(f"{what} exceeds 2^53, beyond which the numbers of ONNX are not exact")
        return found

    def refuse(self, why: str) -> NoReturn:
        """Raise `UserError` about this node."""
        raise UserError(f"{self.name} ({self.op.name}) has no {self.target}: {why}.")

    def constant(self, values: np.ndarray, dtype: Any, datatype: str | None = None) -> str:
        """Add integers as a constant."""
        return self.document.constant(self.name, np.asarray(values).astype(dtype), datatype)

    def add(self, kind: str, inputs: list[str], shape: tuple[int, ...], dtype: Any, **more: Any) -> str:
        """Add a node."""
        return self.document.node(self.name, kind, inputs, shape, dtype, **more)

    def read(self, dtype: Any, operand: int = 0) -> str:
        """Return an operand as a tensor of that type."""
        return self.cast(self.node.inputs[operand], dtype)

    def cast(self, tensor: str, dtype: Any) -> str:
        """Return a tensor as one of that type."""
        if self.document.dtype(tensor) == dtype:
            return tensor
        import onnx

        to = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", [tensor], self.document.shape(tensor), dtype, to=to)

    @classmethod
    def complete(cls, document: Document) -> None:
        """Add what a document needs when all nodes are written; nothing here."""

    def finish(self, tensor: str) -> None:
        """Make a tensor, the newest one, the edge of this node."""
        largest = datatypes.magnitude(self.y.type)
        tensor = self.cast(tensor, self.carrier(largest, f"its type {self.y.type}"))
        self.document.rename(tensor, self.name, datatypes.name(self.y.type))


def frame_shape(tensor: Tensor, channels_last: bool) -> tuple[int, ...]:
    """Return the shape of an edge in a document, batch first."""
    if len(tensor.shape) == 3 and not channels_last:
        height, width, channels = tensor.shape
        return 1, channels, height, width
    return 1, *tensor.shape
