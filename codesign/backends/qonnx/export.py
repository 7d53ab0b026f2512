"""An integer graph as a QONNX document."""

from __future__ import annotations

from types import ModuleType

from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.document import Document, scales
from codesign.backends.qonnx.place import Place, frame_shape
from codesign.errors import UserError
from codesign.ir import Graph


def export(graph: Graph, operators: dict[str, ModuleType], kind: type[Place] = Place) -> bytes:
    """Return the file of a graph.

    Parameters
    ----------
    graph : Graph
    operators : dict of str to module
        By operator, what writes it: ``write(place)``.
    kind : type
        Of the places, which give the layout of frames.

    Raises
    ------
    UserError
        When the package onnx is missing, or an operator has no exact form; the sentence names the node.
    """
    document = Document()
    for edge in graph.inputs:
        tensor = graph.edges[edge]
        carrier = datatypes.carrier(datatypes.magnitude(tensor.type))
        if carrier is None:
            raise UserError(f"the input is {tensor.type}, beyond what the numbers of ONNX hold exactly.")
        document.input(edge, frame_shape(tensor, kind.channels_last), carrier, datatypes.name(tensor.type))
    for node in graph.nodes:
        if node.op.name not in operators:
            raise UserError(f"{node.name} ({node.op.name}) has no {kind.target}; choose a model without that operator.")
        operators[node.op.name].write(kind(document, graph, node))
    kind.complete(document)
    for edge in dict.fromkeys(graph.outputs):
        document.output(edge)
    return document.bytes(scales({edge: scale.factor for edge, scale in graph.scales.items()}))
