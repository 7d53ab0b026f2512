"""Integer graph to hls4ml's model graph."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codesign.backends.hls4ml import fifo, layers, ops, reuse
from codesign.backends.hls4ml.kernels import Kernel, Place, Table, number
from codesign.backends.hls4ml.options import Options
from codesign.boards import Board
from codesign.errors import UserError
from codesign.ir import Graph, Node

PROJECT = "network"
"""Name of the top function and of the files around it."""


@dataclass(frozen=True)
class TracedEdge:
    """An edge that C simulation can show, with its place in the trace of a frame.

    Parameters
    ----------
    name : str
    offset, size : int
        First element and number of elements.
    """

    name: str
    offset: int
    size: int


@dataclass(frozen=True, eq=False)
class Model:
    """A graph on its way to files.

    Parameters
    ----------
    graph : Graph
    nodes : tuple of Node
        Those that the output depends on.
    kernels : dict of str to Kernel
        By node.
    edges : tuple of TracedEdge
        In order of computation.
    layers : list of dict
        What hls4ml's model graph was made from: operators, and forks between them.
    depths : dict of str to int
        Places of each stream that an operator reads, by variable.
    hls4ml : ModelGraph
    """

    graph: Graph
    nodes: tuple[Node, ...]
    kernels: Mapping[str, Kernel]
    edges: tuple[TracedEdge, ...]
    layers: list[dict[str, Any]]
    depths: Mapping[str, int]
    hls4ml: Any

    @property
    def tables(self) -> list[Table]:
        """All constant tables in order."""
        return [table for kernel in self.kernels.values() for table in kernel.tables]


def live_nodes(graph: Graph) -> tuple[Node, ...]:
    """Return the nodes that the output depends on, in order: a stream that nobody reads would stall."""
    needed = set(graph.outputs)
    live = []
    for node in reversed(graph.nodes):
        if node.name in needed:
            live.append(node)
            needed.update(node.inputs)
    return tuple(reversed(live))


KEEPS_TOKENS = frozenset({"flatten", "threshold", "dyadic", "frame_buffer", "select_threshold", "select_dyadic"})
"""Operators whose output tokens are those of their first input, element by element."""


def token_sizes(graph: Graph) -> dict[str, int]:
    """Return for every edge the elements that travel together: a pixel's channels, or a whole flat frame.

    Flatten keeps the tokens as they come, and what works element by element keeps them as well.
    """
    sizes = {edge: graph.edges[edge].channels for edge in graph.edges}
    for node in graph.nodes:
        if node.op.name in KEEPS_TOKENS:
            sizes[node.name] = sizes[node.inputs[0]]
        elif node.op.name == "add":
            sizes[node.name] = max(sizes[edge] for edge in node.inputs)
    return sizes


def build(graph: Graph, board: Board, options: Options) -> Model:
    """Return the model graph, with all of hls4ml's passes applied.

    Parameters
    ----------
    graph : Graph
    board : Board
        Gives part and clock, and the size that reuse factors are chosen for.
    options : Options

    Raises
    ------
    UserError
        When the graph has another number of inputs or outputs than one, or no operator.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or graph.outputs[0] in graph.inputs:
        raise UserError("the hls4ml backend takes a network with one input, one output and at least one operator.")
    layers.register()
    nodes = live_nodes(graph)
    if options.io_type == "io_stream":
        packs = token_sizes(graph)
    else:
        packs = {edge: tensor.channels for edge, tensor in graph.edges.items()}
    factors = reuse.choose(graph, board, options, packs)
    known = ops.by_name()
    places = {node.name: Place(node, graph, options.io_type, factors[node.name], packs) for node in nodes}
    kernels = {name: known[place.node.op.name].kernel(place) for name, place in places.items()}
    depths = fifo.depths(graph, nodes, {name: ops.reads(place) for name, place in places.items()}, packs)
    pipelined = options.io_type == "io_parallel" and all(k.reuse_factor == 1 for k in kernels.values())
    edges = _traced(graph, nodes)
    wiring = _Wiring(graph, packs, options.io_type, edges, depths, forks=not pipelined)
    for node in nodes:
        wiring.place(node, kernels[node.name])
    config = _config(graph, board, options, kernels, wiring, pipelined)
    from hls4ml.model import ModelGraph

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ModelGraph.from_layer_list(config, wiring.layers, [graph.inputs[0]], [graph.outputs[0]])
    if options.io_type == "io_stream":
        # hls4ml makes every stream as deep as a frame.
        for layer in model.get_layers():
            for variable in layer.get_variables():
                variable.pragma = ("stream", wiring.depths.get(variable.name, fifo.SHALLOW))
    return Model(graph, nodes, kernels, edges, wiring.layers, wiring.depths, model)


def _traced(graph: Graph, nodes: tuple[Node, ...]) -> tuple[TracedEdge, ...]:
    edges, offset = [], 0
    for node in nodes:
        size = graph.edges[node.name].size
        edges.append(TracedEdge(node.name, offset, size))
        offset += size
    return tuple(edges)


class _Wiring:
    """The layer list, with forks where an edge has several readers."""

    def __init__(
        self,
        graph: Graph,
        packs: Mapping[str, int],
        io_type: str,
        edges: tuple[TracedEdge, ...],
        operand_depths: Mapping[tuple[str, int], int],
        forks: bool,
    ) -> None:
        self.graph = graph
        self.packs = packs
        self.stream = io_type == "io_stream"
        self.edges = {edge.name: edge for edge in edges}
        self.operand_depths = operand_depths
        self.depths: dict[str, int] = {}
        self.forks = forks
        self.layers: list[dict[str, Any]] = []
        self.precisions: dict[str, str] = {}
        self.sources: dict[str, list[str]] = {}
        self.readers = dict.fromkeys(graph.edges, 0)
        for node in live_nodes(graph):
            for edge in node.inputs:
                self.readers[edge] += 1
        name = graph.inputs[0]
        self.precisions[name] = number(graph.edges[name].type)
        self.layers.append(
            {
                "class_name": "InputLayer",
                "name": name,
                "input_shape": self._shape(name),
                "type_name": f"{name}_t",
            }
        )
        self._supply(name)

    def place(self, node: Node, kernel: Kernel) -> None:
        """Add an operator and what spreads its output."""
        inputs = [self.sources[edge].pop(0) for edge in node.inputs]
        for operand, variable in enumerate(inputs):
            self.depths[variable] = self.operand_depths[node.name, operand]
        edge = self.edges[node.name]
        data = f"{edge.size}>({node.name}, {edge.offset});"
        self._add(node.op.name, node.name, inputs, [node.name], node.name, kernel, f"codesign::trace<{data}")
        self._supply(node.name)

    def _supply(self, edge: str) -> None:
        """Make the variables that the readers of an edge read; nobody inside reads the output edge."""
        if not self.forks:
            self.sources[edge] = [edge] * self.readers[edge]
            return
        branches = [edge]
        kernel = Kernel(layers.FORK, {"size": self.graph.edges[edge].size})
        for index in range(self.readers[edge] - 1):
            outputs = [f"{edge}_copy{index}", f"{edge}_rest{index}"]
            self._add(layers.FORK, f"{edge}_fork{index}", [branches.pop()], outputs, edge, kernel)
            branches += outputs
        self.sources[edge] = branches

    def _add(
        self,
        operator: str,
        name: str,
        inputs: list[str],
        outputs: list[str],
        edge: str,
        kernel: Kernel,
        trace: str = "",
    ) -> None:
        self.precisions[name] = number(self.graph.edges[edge].type)
        headers = [f"nnet_utils/{kernel.function}.h", "nnet_utils/trace.h"]
        self.layers.append(
            {
                "class_name": layers.layer_class(operator),
                "name": name,
                "inputs": inputs,
                "outputs": outputs,
                "shape": self._shape(edge),
                "kernel": kernel.function,
                "config_struct": kernel.struct(f"config_{name}"),
                "arguments": [table.name for table in kernel.tables],
                "headers": headers + [f"weights/{table.name}.h" for table in kernel.tables],
                "trace_lines": ["#ifndef __SYNTHESIS__", trace, "#endif"] if trace else [],
            }
        )

    def _shape(self, edge: str) -> list[int]:
        """Return the shape that hls4ml shall see: its last axis is the token of a stream."""
        tensor = self.graph.edges[edge]
        if not self.stream or len(tensor.shape) > 1 or self.packs[edge] == tensor.size:
            return list(tensor.shape)
        return [tensor.size // self.packs[edge], self.packs[edge]]


def _config(
    graph: Graph,
    board: Board,
    options: Options,
    kernels: Mapping[str, Kernel],
    wiring: _Wiring,
    pipelined: bool,
) -> dict[str, Any]:
    """Return the configuration as a user of hls4ml writes it."""
    from hls4ml.backends import get_backend

    config: dict[str, Any] = get_backend(layers.BACKEND).create_initial_config(
        part=board.part,
        clock_period=round(1000.0 / (options.clock_mhz or board.clock_mhz), 6),
        io_type=options.io_type,
        write_weights_txt=False,
    )
    config |= {"Backend": layers.BACKEND, "ProjectName": PROJECT, "OutputDir": "."}
    by_layer = {}
    for layer in wiring.layers:
        name = layer["name"]
        by_layer[name] = {
            "Precision": {"result": wiring.precisions[name]},
            "ReuseFactor": kernels[name].reuse_factor if name in kernels else 1,
            "Strategy": options.strategy,
        }
    config["HLSConfig"] = {
        "Model": {
            "Precision": {"default": "ap_int<8>"},
            "ReuseFactor": 1,
            "Strategy": options.strategy,
            "PipelineStyle": "pipeline" if pipelined else "dataflow",
        },
        "LayerName": by_layer,
    }
    return config
