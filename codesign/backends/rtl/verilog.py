"""The sources of a design: a module for each node, and the top level that joins them by streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codesign.backends.rtl.layout import Channel, Layout
from codesign.backends.rtl.unit import Block, Function, Packed, Parameter, Unit

TOP = "network"


def unit_name(node: str) -> str:
    """Return the name of the module of a node: its FIFOs, adapters and blocks."""
    return f"{node}_unit"


class Module:
    """Collects the lines of a module, and the files beside it."""

    def __init__(self, name: str, ports: Sequence[tuple[str, str, int]], about: Sequence[str] = ()) -> None:
        self.name, self.about = name, about
        self.ports = ["input  logic clk", "input  logic rst"]
        for direction, stream, width in ports:
            there, back = ("input  logic", "output logic") if direction == "in" else ("output logic", "input  logic")
            self.ports += [f"{there} {stream}_valid", f"{back} {stream}_ready"]
            self.ports.append(f"{there} [{width - 1}:0] {stream}_data")
        self.lines: list[str] = []
        self.files: dict[str, str] = {}

    @property
    def text(self) -> str:
        """The module."""
        head = [*(f"// {line}" for line in self.about), f"module {self.name} ("]
        ports = ",\n".join(f"    {port}" for port in self.ports)
        return "\n".join([*head, ports, ");", *self.lines, "endmodule"]) + "\n"

    def stream(self, name: str, width: int) -> str:
        """Declare a stream."""
        self.lines.append(f"    logic {name}_valid, {name}_ready;")
        self.lines.append(f"    logic [{width - 1}:0] {name}_data;")
        return name

    def instance(self, module: str, name: str, parameters: Mapping[str, Parameter], ports: Mapping[str, str]) -> None:
        """Write an instance."""
        values = ", ".join(f".{key}({_literal(value)})" for key, value in parameters.items())
        wires = ", ".join(f".{port}({wire})" for port, wire in ports.items())
        self.lines.append(f"    {module}{f' #({values})' * bool(parameters)} {name}")
        self.lines.append(f"        (.clk(clk), .rst(rst), {wires});")

    def wire(self, to: str, source: str) -> None:
        """Join a stream to another one."""
        self.lines.append(f"    assign {to}_valid = {source}_valid;")
        self.lines.append(f"    assign {to}_data = {source}_data;")
        self.lines.append(f"    assign {source}_ready = {to}_ready;")

    def block(self, block: Block, name: str, prefix: str, inputs: Sequence[str], output: str) -> None:
        """Write an instance of a block; its files are named after `prefix`."""
        parameters = dict(block.parameters)
        for ending, text in block.files.items():
            self.files[f"{prefix}_{ending}.mem"] = text()
        for key, value in parameters.items():
            if isinstance(value, str) and value in block.files:
                parameters[key] = f"{prefix}_{value}.mem"
        ports: dict[str, str] = dict(block.ties)
        if block.function is not None:
            ports |= self.function(block.function, prefix)
        for port, stream in zip(block.inputs, inputs, strict=True):
            ports |= _ports(port, stream)
        self.instance(block.module, name, parameters, ports | _ports("out", output))

    def function(self, function: Function, prefix: str) -> dict[str, str]:
        """Write the instances of a function, and return the wires to its block."""
        name = f"{prefix}_{function.ending}"
        self.files[f"{name}.sv"] = function.write(name)
        widths = {"enable": 1, "address": function.address}
        widths |= {"bits": function.copies * function.bits, "sums": function.copies * function.sums}
        for port, width in widths.items():
            self.lines.append(f"    logic [{width - 1}:0] {port};")
        for copy in range(function.copies):
            own = {
                port: f"{port}[{copy * width}+:{width}]"
                for port, width in (("bits", function.bits), ("sums", function.sums))
            }
            wires = {"clk": "clk", "enable": "enable", "address": "address"} | own
            joined = ", ".join(f".{port}({wire})" for port, wire in wires.items())
            self.lines.append(f"    {name} {function.ending}{copy} ({joined});")
        return {port: port for port in widths}


def _ports(port: str, stream: str) -> dict[str, str]:
    return {f"{port}_{part}": f"{stream}_{part}" for part in ("valid", "ready", "data")}


def _literal(value: Parameter) -> str:
    if isinstance(value, Packed):
        return value.literal
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return "1" if value else "0"
    if -(1 << 31) <= value < 1 << 31:
        return str(value)
    return f"-64'sd{-value}" if value < 0 else f"64'sd{value}"


def write(layout: Layout) -> dict[str, str]:
    """Return the files of a design by name: ``network.sv``, a module for each node, memory files."""
    graph = layout.graph
    widths = {edge: layout.lanes(edge) * tensor.type.bits for edge, tensor in graph.edges.items()}
    files: dict[str, str] = {}
    for node in graph:
        channels = [channel for channel in layout.channels if channel.node == node.name]
        about = f"{node.op.name}: FIFOs, adapters of lanes and blocks of one node"
        module = _unit(node.name, about, layout.units[node.name], channels, widths)
        files |= {f"{module.name}.sv": module.text} | module.files
    return {f"{TOP}.sv": _top(layout, widths).text} | files


def _unit(node: str, about: str, unit: Unit, channels: Sequence[Channel], widths: Mapping[str, int]) -> Module:
    """Return the module of a node, its operands `i0`, `i1` and so on."""
    ports = [("in", f"i{c.operand}", widths[c.edge]) for c in channels]
    module = Module(unit_name(node), [*ports, ("out", "out", widths[node])], [about])
    inputs = []
    for channel in channels:
        name = f"i{channel.operand}"
        entering, held = name, module.stream(f"{name}_fifo", channel.width)
        for block, ending in (channel.sieve, "kept"), (channel.parts, "parts"):
            if block is not None:
                passed = module.stream(f"{name}_{ending}", block.width)
                module.block(block, f"{name}_{block.module}", f"{node}_{name}", [entering], passed)
                entering = passed
        fifo = {"WIDTH": channel.width, "DEPTH": channel.depth}
        module.instance("stream_fifo", f"{name}_queue", fifo, _ports("in", entering) | _ports("out", held))
        for number, adapter in enumerate(channel.adapters):
            adapted = module.stream(f"{name}_a{number}", adapter.width)
            module.block(adapter, f"{name}_adapter{number}", f"{node}_{name}", [held], adapted)
            held = adapted
        inputs.append(held)
    kinds = [block.module for block in unit.blocks]
    for number, block in enumerate(unit.blocks):
        last = number == len(unit.blocks) - 1
        output = "out" if last else module.stream(f"b{number}", block.width)
        # Of several of a kind, each is told apart by its number.
        name = f"{block.module}{number}" if kinds.count(block.module) > 1 else block.module
        module.block(block, name, node, inputs, output)
        inputs = [output]
    if not unit.blocks:
        module.wire("out", inputs[0])
    return module


def _top(layout: Layout, widths: Mapping[str, int]) -> Module:
    """Return the top level: units, forks where an edge has several readers, monitors for simulation."""
    graph = layout.graph
    (source,), (result,) = graph.inputs, graph.outputs
    top = Module(TOP, [("in", "in", widths[source]), ("out", "out", widths[result])])
    for edge, width in widths.items():
        top.stream(edge, width)
        top.lines.append("`ifdef CODESIGN_TRACE")
        top.lines.append(
            f'    stream_monitor #(.WIDTH({width}), .FILE("trace_{edge}.hex")) {edge}_monitor\n'
            f"        (.clk(clk), .rst(rst), .valid({edge}_valid), .ready({edge}_ready), .data({edge}_data));"
        )
        top.lines.append("`endif")
    readers: dict[str, list[str]] = {edge: [] for edge in graph.edges}
    for node in graph:
        ports: dict[str, str] = {}
        for channel in layout.channels:
            if channel.node == node.name:
                name = top.stream(f"{node.name}_i{channel.operand}", widths[channel.edge])
                readers[channel.edge].append(name)
                ports |= _ports(f"i{channel.operand}", name)
        top.instance(unit_name(node.name), f"{node.name}_unit0", {}, ports | _ports("out", node.name))
    readers[result].append("out")
    for edge, names in readers.items():
        if not names:
            # Nobody reads what a dead operator makes.
            top.lines.append(f"    assign {edge}_ready = 1'b1;")
        elif len(names) == 1:
            top.wire(names[0], edge)
        else:
            _fork(top, edge, widths[edge], names)
    top.wire(source, "in")
    return top


def _fork(top: Module, edge: str, width: int, names: Sequence[str]) -> None:
    # Bit i of the fork's vectors is reader i.
    ports = _ports("in", edge) | {
        "out_valid": "{" + ", ".join(f"{name}_valid" for name in reversed(names)) + "}",
        "out_ready": "{" + ", ".join(f"{name}_ready" for name in reversed(names)) + "}",
        "out_data": f"{edge}_forked",
    }
    top.lines.append(f"    logic [{width - 1}:0] {edge}_forked;")
    top.instance("stream_fork", f"{edge}_fork", {"N": len(names), "WIDTH": width}, ports)
    top.lines += [f"    assign {name}_data = {edge}_forked;" for name in names]
