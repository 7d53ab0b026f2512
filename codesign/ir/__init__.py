"""The integer graph: types, operators, exact execution, passes and file format."""

from codesign.ir import golden, ops
from codesign.ir.graph import Graph, GraphBuilder, Node, Scale
from codesign.ir.operator import Operator, OperatorError
from codesign.ir.serialize import digest, dumps, load, loads, save
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType

__all__ = [
    "Graph",
    "GraphBuilder",
    "IntType",
    "Node",
    "Operator",
    "OperatorError",
    "Scale",
    "Tensor",
    "digest",
    "dumps",
    "golden",
    "load",
    "loads",
    "ops",
    "save",
]
