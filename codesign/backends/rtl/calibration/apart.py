"""The blocks of a design each alone in a module, so that what one of them takes is seen by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from codesign.backends.rtl.described import parts
from codesign.backends.rtl.layout import Layout
from codesign.backends.rtl.unit import Block
from codesign.backends.rtl.verilog import Module


def inputs(block: Block) -> tuple[int, ...]:
    """Return the bits of a word of each input of a block."""
    p = cast(Mapping[str, Any], block.parameters)
    match block.module:
        case "stream_fifo" | "subsample" | "window_serial" | "window_parallel":
            return (p["WIDTH"],)
        case "lane_adapter":
            return (p["IN"] * p["BITS"],)
        case "add":
            return p["LANES"] * p["A"], p["LANES"] * p["B"]
        case "select_threshold" | "select_dyadic":
            return p["LANES"] * p["X"], p["INDEX"]
        case "threshold_stage":
            return (p["LANES"] * (p["STAGE"] + p["X"]),)
        case "arg_max":
            return (p["X"],)
    return (p["SIMD" if "SIMD" in p else "LANES"] * p["X"],)


def alone(block: Block, name: str) -> tuple[str, dict[str, str]]:
    """Return a module with nothing but a block, and the files beside it by name."""
    widths = inputs(block)
    ports = [("in", f"i{number}", width) for number, width in enumerate(widths)]
    module = Module(name, [*ports, ("out", "out", block.width)])
    module.block(block, block.module, name, [f"i{number}" for number in range(len(widths))], "out")
    return module.text, module.files


def distinct(layout: Layout) -> Iterator[tuple[str, Block]]:
    """Yield the blocks of a design with a name, those that are alike once."""
    seen = set()
    for node in layout.graph:
        for number, block in enumerate(parts(layout, node.name)):
            key = block.module, tuple(sorted(block.parameters.items()))
            if block.files or block.function or key not in seen:
                seen.add(key)
                yield f"{node.name}_{number}", block
