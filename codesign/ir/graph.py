"""The integer graph and the builder that makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from codesign.ir.operator import Operator, OperatorError
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


@dataclass(frozen=True, eq=False)
class Node:
    """One operator in place.

    Parameters
    ----------
    name : str
        Name of the node and of the edge it makes: "n0", "n1", … in order. Generated code uses only this.
    op : Operator
    inputs : tuple of str
        Edges it reads.
    label : str
        Where it came from in the user's model, for people only; never reaches generated code.
    """

    name: str
    op: Operator
    inputs: tuple[str, ...]
    label: str = ""


@dataclass(frozen=True)
class Scale:
    """How the integers of a graph input or output relate to real numbers: real = factor · integer."""

    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Graph:
    """A network in integers only: nodes in execution order, edges with shapes and types.

    Parameters
    ----------
    name : str
        For people; never reaches generated code.
    nodes : tuple of Node
        In execution order: a node reads graph inputs and earlier nodes only.
    edges : mapping of str to Tensor
        Every graph input ("x0", …) and every node's output ("n0", …).
    inputs, outputs : tuple of str
        Edges that enter and leave.
    scales : mapping of str to Scale
        Metadata of graph inputs and outputs. No operator reads it.

    Notes
    -----
    Make one with `GraphBuilder`, a frontend or `codesign.ir.load`; each checks every operator's rules.
    """

    name: str
    nodes: tuple[Node, ...]
    edges: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scales: Mapping[str, Scale] = field(default_factory=dict)

    @property
    def input(self) -> Tensor:
        """The edge that enters, for a graph with one input."""
        if len(self.inputs) != 1:
            raise OperatorError(f"the graph has {len(self.inputs)} inputs, not one")
        return self.edges[self.inputs[0]]

    @property
    def output(self) -> Tensor:
        """The edge that leaves, for a graph with one output."""
        if len(self.outputs) != 1:
            raise OperatorError(f"the graph has {len(self.outputs)} outputs, not one")
        return self.edges[self.outputs[0]]

    def node(self, name: str) -> Node:
        """Return the node of that name; raise KeyError when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def input_edges(self, node: Node) -> tuple[Tensor, ...]:
        """Return the edges a node reads."""
        return tuple(self.edges[name] for name in node.inputs)

    def consumers(self) -> dict[str, list[Node]]:
        """Return for every edge the nodes that read it, in order, once per operand."""
        readers: dict[str, list[Node]] = {name: [] for name in self.edges}
        for node in self.nodes:
            for name in node.inputs:
                readers[name].append(node)
        return readers

    def same_as(self, other: Graph) -> bool:
        """Tell whether `other` has the same structure and integers (names and labels of people aside)."""
        return (
            self.inputs == other.inputs
            and self.outputs == other.outputs
            and dict(self.edges) == dict(other.edges)
            and len(self.nodes) == len(other.nodes)
            and all(
                a.name == b.name and a.inputs == b.inputs and a.op.same_as(b.op)
                for a, b in zip(self.nodes, other.nodes, strict=True)
            )
        )

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __str__(self) -> str:
        lines = [f"{self.name}({', '.join(f'{name}: {self.edges[name]}' for name in self.inputs)})"]
        for node in self.nodes:
            label = f"   # {node.label}" if node.label else ""
            lines.append(f"  {node.name} = {node.op.name}({', '.join(node.inputs)}): {self.edges[node.name]}{label}")
        return "\n".join([*lines, f"  return {', '.join(self.outputs)}"])


class GraphBuilder:
    """Builds a `Graph` node by node, checking each.

    Examples
    --------
    >>> builder = GraphBuilder("sum")
    >>> x = builder.input((4,), IntType(8, signed=False))
    >>> import numpy as np
    >>> from codesign.ir.ops import Dense
    >>> y = builder.add(Dense(np.ones((4, 2), dtype=np.int64)), x)
    >>> graph = builder.build(y)
    """

    def __init__(self, name: str = "network") -> None:
        self.name = name
        self._nodes: list[Node] = []
        self._edges: dict[str, Tensor] = {}
        self._inputs: list[str] = []
        self._scales: dict[str, Scale] = {}

    def input(self, shape: Sequence[int], type: IntType, scale: float = 1.0) -> str:
        """Add a graph input and return its edge.

        Parameters
        ----------
        shape : sequence of int
            (height, width, channels) or (features,), one frame.
        type : IntType
        scale : float
            real = scale · integer, as the sensor or host means it.
        """
        name = f"x{len(self._inputs)}"
        self._inputs.append(name)
        self._edges[name] = Tensor(tuple(int(extent) for extent in shape), type)
        self._scales[name] = Scale(float(scale))
        return name

    def add(self, op: Operator, *inputs: str, label: str = "") -> str:
        """Add a node and return the edge it makes.

        Raises
        ------
        OperatorError
            When an input is unknown or the operator refuses its inputs; the message names the node.
        """
        name = f"n{len(self._nodes)}"
        where = f"{name} ({op.name}{', ' + label if label else ''})"
        if len(inputs) != op.arity:
            raise OperatorError(f"{where}: {op.name} reads {op.arity} edges, not {len(inputs)}")
        for edge in inputs:
            if edge not in self._edges:
                raise OperatorError(f"{where}: there is no edge {edge!r} before it")
        try:
            self._edges[name] = op.infer(*(self._edges[edge] for edge in inputs))
        except ValueError as error:  # also an edge wider than IntType allows
            raise OperatorError(f"{where}: {error}") from error
        self._nodes.append(Node(name, op, tuple(inputs), label))
        return name

    @property
    def newest(self) -> str:
        """The edge made last."""
        return next(reversed(self._edges))

    def edge(self, name: str) -> Tensor:
        """Return an edge made so far."""
        return self._edges[name]

    def build(self, *outputs: str, scales: Mapping[str, float] | None = None) -> Graph:
        """Return the graph with these outputs.

        Parameters
        ----------
        outputs : str
            Edges that leave.
        scales : mapping of str to float, optional
            real = scale · integer for outputs, 1 where absent.

        Raises
        ------
        OperatorError
            When there is no input, no output, or an output that no node makes.
        """
        if not self._inputs:
            raise OperatorError("the graph has no input")
        if not outputs:
            raise OperatorError("the graph has no output")
        for edge in outputs:
            if edge not in self._edges:
                raise OperatorError(f"there is no edge {edge!r} to return")
        all_scales = dict(self._scales)
        for edge in outputs:
            if edge not in all_scales:
                all_scales[edge] = Scale(float((scales or {}).get(edge, 1.0)))
        return Graph(self.name, tuple(self._nodes), dict(self._edges), tuple(self._inputs), tuple(outputs), all_scales)


def rebuild(
    graph: Graph, keep: Sequence[tuple[str, Operator, tuple[str, ...], str]], renamed: Mapping[str, str]
) -> Graph:
    """Return a graph made of replaced nodes, renumbered: what every pass ends with.

    Parameters
    ----------
    graph : Graph
        Gives the name, inputs, outputs and scales.
    keep : sequence of (edge, op, inputs, label)
        Nodes in execution order, their edges in old or provisional names.
    renamed : mapping
        Edges that are gone, each to the edge that stands for it.
    """

    def resolve(edge: str) -> str:
        while edge in renamed:
            edge = renamed[edge]
        return edge

    builder = GraphBuilder(graph.name)
    new: dict[str, str] = {}
    for edge in graph.inputs:
        tensor = graph.edges[edge]
        new[edge] = builder.input(tensor.shape, tensor.type, graph.scales[edge].factor)
    for edge, op, inputs, label in keep:
        new[edge] = builder.add(op, *(new[resolve(name)] for name in inputs), label=label)
    outputs = [new[resolve(edge)] for edge in graph.outputs]
    scales = {out: graph.scales[old].factor for out, old in zip(outputs, graph.outputs, strict=True)}
    return builder.build(*outputs, scales=scales)
