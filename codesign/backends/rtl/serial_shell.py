"""What the serial shell in ``hw/shell`` must know of the network inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codesign import ir
from codesign.deploy import protocol
from codesign.deploy.packing import Packing
from codesign.deploy.protocol import Identity
from codesign.errors import UserError
from codesign.ir import Graph

TOP = "uart_shell"

_FEWEST_CLOCKS = 4
_MOST_OFF = 0.02
"""Share of the rate: both ends may be off, and a byte allows for half a bit in ten."""


@dataclass(frozen=True)
class SerialShell:
    """Frames and identity of a network behind a serial line.

    Parameters
    ----------
    entering, leaving : Packing
        Of the frames into and out of the network.
    digest : bytes
        Of the graph, as the device tells it.

    Raises
    ------
    UserError
        When a frame is larger than the length of a packet can say.
    """

    entering: Packing
    leaving: Packing
    digest: bytes

    def __post_init__(self) -> None:
        largest = max(self.entering.frame_bytes, self.leaving.frame_bytes)
        if largest > protocol.MOST_PAYLOAD:
            raise UserError(
                f"a frame of this network has {largest:,} bytes and a packet of the serial shell holds "
                f"{protocol.MOST_PAYLOAD:,}; choose a network with smaller frames, or a board without a shell."
            )

    @classmethod
    def of(cls, graph: Graph, lanes: Mapping[str, int]) -> SerialShell:
        """Return the shell of a graph.

        Parameters
        ----------
        graph : Graph
            With one input and one output.
        lanes : mapping of str to int
            Elements in a word, by edge, as ``map.json`` tells them.
        """
        (source,), (result,) = graph.inputs, graph.outputs
        return cls(
            Packing(graph.edges[source], lanes[source]),
            Packing(graph.edges[result], lanes[result]),
            protocol.short_digest(ir.digest(graph)),
        )

    @property
    def identity(self) -> Identity:
        """What the device says of itself."""
        return Identity(
            input_bytes=self.entering.frame_bytes,
            output_bytes=self.leaving.frame_bytes,
            input_lanes=self.entering.lanes,
            output_lanes=self.leaving.lanes,
            digest=self.digest,
        )

    def parameters(self, clocks: int, led_low: bool) -> dict[str, int | str]:
        """Return the parameters of the module `uart_shell`, as Yosys and Verilator take them.

        Parameters
        ----------
        clocks : int
            Of one bit on the line.
        led_low : bool
            The lamp is lit by 0.
        """
        return {
            "IN": self.entering.word_bits,
            "OUT": self.leaving.word_bits,
            "IN_WORDS": self.entering.words,
            "OUT_WORDS": self.leaving.words,
            "IN_LANES": self.entering.lanes,
            "OUT_LANES": self.leaving.lanes,
            "DIGEST": f"64'h{int.from_bytes(self.digest, 'little'):016x}",
            "CLOCKS": clocks,
            "LED_LOW": int(led_low),
        }


def bit_clocks(clock_mhz: float, baud: int) -> int:
    """Return the clocks of one bit on the line.

    Parameters
    ----------
    clock_mhz : float
        Of the shell.
    baud : int
        Bits per second.

    Raises
    ------
    UserError
        When no whole number of clocks, 4 or more, makes the rate within two percent.
    """
    clocks = max(_FEWEST_CLOCKS, round(1e6 * clock_mhz / baud))
    made = 1e6 * clock_mhz / clocks
    if abs(made - baud) > _MOST_OFF * baud:
        raise UserError(
            f"a clock of {clock_mhz:g} MHz cannot make {baud:,} baud, the nearest rate is {made:,.0f}; "
            "choose another 'baud' in the table [shell] of the board."
        )
    return clocks
