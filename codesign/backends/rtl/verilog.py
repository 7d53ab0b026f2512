"""The top level: instances of the library, wired by streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codesign.backends.rtl.layout import Layout
from codesign.backends.rtl.unit import Block, Function, Packed, Parameter

TOP = "network"


class _Writer:
    """Collects declarations and instances."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.files: dict[str, str] = {}

    def stream(self, name: str, width: int) -> str:
        """Declare a stream."""
        self.lines.append(f"    logic {name}_valid, {name}_ready;")
        self.lines.append(f"    logic [{width - 1}:0] {name}_data;")
        return name

    def instance(self, module: str, name: str, parameters: Mapping[str, Parameter], ports: Mapping[str, str]) -> None:
        """Write an instance."""
        values = ", ".join(f".{key}({_literal(value)})" for key, value in parameters.items())
        wires = ", ".join(f".{port}({wire})" for port, wire in ports.items())
        self.lines.append(f"    {module} #({values}) {name}")
        self.lines.append(f"        (.clk(clk), .rst(rst), {wires});")

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
            self.lines.append(f"    logic [{width - 1}:0] {prefix}_{port};")
        for copy in range(function.copies):
            own = {
                port: f"{prefix}_{port}[{copy * width}+:{width}]"
                for port, width in (("bits", function.bits), ("sums", function.sums))
            }
            wires = {"clk": "clk", "enable": f"{prefix}_enable", "address": f"{prefix}_address"} | own
            joined = ", ".join(f".{port}({wire})" for port, wire in wires.items())
            self.lines.append(f"    {name} {name}{copy} ({joined});")
        return {port: f"{prefix}_{port}" for port in widths}


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
    """Return the files of a design by name: ``network.sv`` and its memory files."""
    graph = layout.graph
    writer = _Writer()
    widths = {edge: layout.lanes(edge) * tensor.type.bits for edge, tensor in graph.edges.items()}
    (source,), (result,) = graph.inputs, graph.outputs
    for edge, width in widths.items():
        writer.stream(edge, width)
        writer.lines.append("`ifdef CODESIGN_TRACE")
        writer.lines.append(
            f'    stream_monitor #(.WIDTH({width}), .FILE("trace_{edge}.hex")) {edge}_monitor\n'
            f"        (.clk(clk), .rst(rst), .valid({edge}_valid), .ready({edge}_ready), .data({edge}_data));"
        )
        writer.lines.append("`endif")
    readers: dict[str, list[str]] = {edge: [] for edge in graph.edges}
    operands: dict[str, list[str]] = {node.name: [] for node in graph}
    for channel in layout.channels:
        name = f"{channel.node}_i{channel.operand}"
        readers[channel.edge].append(writer.stream(name, channel.width))
        entering, held = name, writer.stream(f"{name}_fifo", channel.width)
        if channel.sieve is not None:
            entering = writer.stream(f"{name}_kept", channel.width)
            writer.block(channel.sieve, f"{name}_sieve", name, [name], entering)
        fifo = {"WIDTH": channel.width, "DEPTH": channel.depth}
        writer.instance("stream_fifo", f"{name}_queue", fifo, _ports("in", entering) | _ports("out", held))
        for number, adapter in enumerate(channel.adapters):
            adapted = writer.stream(f"{name}_a{number}", adapter.width)
            writer.block(adapter, f"{name}_adapter{number}", name, [held], adapted)
            held = adapted
        operands[channel.node].append(held)
    for node in graph:
        inputs, unit = operands[node.name], layout.units[node.name]
        for number, block in enumerate(unit.blocks):
            last = number == len(unit.blocks) - 1
            output = node.name if last else writer.stream(f"{node.name}_b{number}", block.width)
            writer.block(block, f"{node.name}_{block.module}", node.name, inputs, output)
            inputs = [output]
        if not unit.blocks:
            writer.lines += _wire(node.name, inputs[0])
    readers[result].append("out")
    for edge, names in readers.items():
        if not names:
            # Nobody reads what a dead operator makes.
            writer.lines.append(f"    assign {edge}_ready = 1'b1;")
            continue
        if len(names) == 1:
            writer.lines += _wire(names[0], edge)
            continue
        # Bit i of the fork's vectors is reader i.
        ports = _ports("in", edge) | {
            "out_valid": "{" + ", ".join(f"{name}_valid" for name in reversed(names)) + "}",
            "out_ready": "{" + ", ".join(f"{name}_ready" for name in reversed(names)) + "}",
            "out_data": f"{edge}_forked",
        }
        writer.lines.append(f"    logic [{widths[edge] - 1}:0] {edge}_forked;")
        writer.instance("stream_fork", f"{edge}_fork", {"N": len(names), "WIDTH": widths[edge]}, ports)
        writer.lines += [f"    assign {name}_data = {edge}_forked;" for name in names]
    writer.lines += _wire(source, "in")
    header = [
        f"module {TOP} (",
        "    input  logic clk,",
        "    input  logic rst,",
        "    input  logic in_valid,",
        "    output logic in_ready,",
        f"    input  logic [{widths[source] - 1}:0] in_data,",
        "    output logic out_valid,",
        "    input  logic out_ready,",
        f"    output logic [{widths[result] - 1}:0] out_data",
        ");",
    ]
    return {f"{TOP}.sv": "\n".join([*header, *writer.lines, "endmodule"]) + "\n", **writer.files}


def _wire(to: str, source: str) -> list[str]:
    return [
        f"    assign {to}_valid = {source}_valid;",
        f"    assign {to}_data = {source}_data;",
        f"    assign {source}_ready = {to}_ready;",
    ]
