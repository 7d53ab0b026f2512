"""The plain Verilog around ``axi_stream_shell`` that a block design of Vivado takes in."""

from __future__ import annotations

from dataclasses import dataclass

from codesign.errors import UserError

TOP = "network_axi_stream"
WIDEST = 1024
"""Bits of tdata that AXI DMA goes up to (PG021)."""


def data_bits(word: int) -> int:
    """Return the bits of tdata for a word: the least of 8, 16, 32 ... 1024 that holds it.

    Parameters
    ----------
    word : int
        Bits, from 1 on.

    Raises
    ------
    UserError
        When none does.
    """
    bits = 8
    while bits < word:
        bits *= 2
    if bits > WIDEST:
        raise UserError(
            f"a word of {word:,} bits is wider than the {WIDEST} of AXI DMA; a larger --cycles makes it narrower."
        )
    return bits


@dataclass(frozen=True)
class Ports:
    """What the ports of a network are like.

    Parameters
    ----------
    bits_in, bits_out : int
        Of a word.
    words_in, words_out : int
        Words of a frame.
    frames : int
        That are in the network at the same time at most.
    """

    bits_in: int
    bits_out: int
    words_in: int
    words_out: int
    frames: int

    @property
    def data_in(self) -> int:
        """Bits of tdata into the network."""
        return data_bits(self.bits_in)

    @property
    def data_out(self) -> int:
        """Bits of tdata out of the network."""
        return data_bits(self.bits_out)

    def require(self) -> None:
        """Accept words that AXI DMA takes.

        Raises
        ------
        UserError
            When one is wider.
        """
        for bits in (self.bits_in, self.bits_out):
            data_bits(bits)

    def wrapper(self) -> str:
        """Return the Verilog of 2001 whose attributes tell Vivado the interfaces.

        The top of a module reference must be Verilog or VHDL (UG994). FREQ_HZ is left to the clock that is connected.
        """
        clock = "XIL_INTERFACENAME aclk, ASSOCIATED_BUSIF s_axis:m_axis, ASSOCIATED_RESET aresetn"
        lines = [
            "// The network as a block of a Vivado block design: axi_stream_shell with the widths of this network.",
            "// Written by codesign.",
            f"module {TOP} (",
            '    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)',
            f'    (* X_INTERFACE_PARAMETER = "{clock}" *)',
            "    input  wire aclk,",
            '    (* X_INTERFACE_INFO = "xilinx.com:signal:reset:1.0 aresetn RST" *)',
            '    (* X_INTERFACE_PARAMETER = "XIL_INTERFACENAME aresetn, POLARITY ACTIVE_LOW" *)',
            "    input  wire aresetn,",
            *_stream("s_axis", "input ", "output", self.data_in),
            *_stream("m_axis", "output", "input ", self.data_out),
            "    output wire frame_error",
            ");",
            "    axi_stream_shell #(",
            f"        .IN({self.bits_in}), .OUT({self.bits_out}), "
            f".IN_WORDS({self.words_in}), .OUT_WORDS({self.words_out}),",
            f"        .IN_BITS({self.data_in}), .OUT_BITS({self.data_out}), .FRAMES({self.frames})",
            "    ) shell (",
            "        .aclk(aclk), .aresetn(aresetn),",
        ]
        for name in ("s_axis", "m_axis"):
            for signals in (("tvalid", "tready", "tlast"), ("tdata", "tkeep")):
                lines.append("        " + ", ".join(f".{name}_{signal}({name}_{signal})" for signal in signals) + ",")
        return "\n".join([*lines, "        .frame_error(frame_error)", "    );", "endmodule"]) + "\n"


def _stream(name: str, forward: str, backward: str, bits: int) -> list[str]:
    """Return the declarations of the ports of a stream."""
    ports = {
        "TVALID": f"{forward} wire",
        "TREADY": f"{backward} wire",
        "TDATA": f"{forward} wire [{bits - 1}:0]",
        "TKEEP": f"{forward} wire [{bits // 8 - 1}:0]",
        "TLAST": f"{forward} wire",
    }
    lines = []
    for signal, port in ports.items():
        lines.append(f'    (* X_INTERFACE_INFO = "xilinx.com:interface:axis:1.0 {name} {signal}" *)')
        lines.append(f"    {port} {name}_{signal.lower()},")
    return lines
