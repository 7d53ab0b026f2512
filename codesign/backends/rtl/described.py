"""Blocks as `codesign.estimate` takes them: module, parameters, contents of memory files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from codesign import estimate
from codesign.backends.rtl.layout import Channel, Layout
from codesign.backends.rtl.schedule import LEAST
from codesign.backends.rtl.serial_shell import TOP as SHELL
from codesign.backends.rtl.serial_shell import SerialShell
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Packed


def described(block: Block, dsp: bool, free: bool = False, behind: str = "") -> estimate.Block:
    """Return a block for the estimator.

    Parameters
    ----------
    block : Block
    dsp : bool
        Multiplications may take multiplier blocks.
    free : bool
        These are as good as free.
    behind : str
        See `estimate.Block`.
    """
    parameters: dict[str, Any] = {
        name: value.values if isinstance(value, Packed) else value for name, value in block.parameters.items()
    }
    made = block.function.made() if block.function is not None else {}
    return estimate.Block(block.module, parameters, _contents(block), dsp, made, behind, free)


def in_a_row(blocks: Sequence[Block], dsp: bool, free: bool = False, last: bool = True) -> list[estimate.Block]:
    """Return blocks for the estimator, of which each takes the words of the one before.

    Parameters
    ----------
    blocks : sequence of Block
    dsp : bool
        Multiplications may take multiplier blocks.
    free : bool
        These are as good as free.
    last : bool
        Whether nothing of the node comes behind them.
    """
    return [described(block, dsp, free, _behind(blocks[place + 1 :], last)) for place, block in enumerate(blocks)]


def _behind(blocks: Sequence[Block], last: bool) -> str:
    """Return the module of the next block where it matters: a FIFO of two registers that only passes words on."""
    if not blocks or blocks[0].module != "stream_fifo" or blocks[0].parameters["DEPTH"] != LEAST:
        return ""
    passes_on = blocks[1].module == "lane_adapter" if len(blocks) > 1 else last
    return "stream_fifo" if passes_on else ""


def _contents(block: Block) -> Callable[[str, int], np.ndarray]:
    def bits(file: str, width: int) -> np.ndarray:
        digits = -(-width // 4)
        lines = block.files[file]().split()
        packed = np.frombuffer(
            bytes.fromhex("".join(line.zfill(digits + digits % 2) for line in lines)), dtype=np.uint8
        )
        # Hexadecimal digits begin with the highest bit.
        return np.unpackbits(packed.reshape(len(lines), -1), axis=1)[:, ::-1][:, :width]

    return bits


def fifo(width: int, depth: int) -> Block:
    """Return a FIFO as a block."""
    return Block("stream_fifo", {"WIDTH": width, "DEPTH": depth}, width, Every(1, 1))


def channel_parts(channel: Channel) -> list[Block]:
    """Return the blocks of a channel, in the order of its words."""
    return [*channel.entry, fifo(channel.width, channel.depth), *channel.adapters]


def parts(layout: Layout, node: str) -> list[Block]:
    """Return all blocks of a node, its FIFOs and adapters among them, in the order of its module."""
    before = [block for channel in layout.channels if channel.node == node for block in channel_parts(channel)]
    return [*before, *layout.units[node].blocks]


def forks(layout: Layout) -> Iterator[estimate.Block]:
    """Yield the forks of the top level, where an edge has several readers."""
    readers = Counter(channel.edge for channel in layout.channels)
    readers.update(layout.graph.outputs)
    for edge, count in readers.items():
        if count > 1:
            width = layout.lanes(edge) * layout.graph.edges[edge].type.bits
            yield estimate.Block("stream_fork", {"N": count, "WIDTH": width}, _nothing)


def shell(layout: Layout, clocks: int, led_low: bool) -> estimate.Block:
    """Return the serial shell around a layout; see `SerialShell.parameters`."""
    graph = layout.graph
    ends = (*graph.inputs, *graph.outputs)
    own = SerialShell.of(graph, {edge: layout.lanes(edge) for edge in ends})
    return estimate.Block(SHELL, own.parameters(clocks, led_low), _nothing)


def _nothing(file: str, width: int) -> np.ndarray:
    raise AssertionError(f"{file} is no file of this block")
