"""What the families of the open tools have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codesign.backends.rtl.synthesis import Counts
from codesign.boards import Shell
from codesign.errors import UserError

Places = Callable[[Mapping[str, int], Sequence[Mapping[str, Any]]], Counts]


@dataclass(frozen=True)
class Family:
    """How a family is synthesised, placed, packed and counted.

    Parameters
    ----------
    synth : str
        Command of Yosys, without multiplier blocks.
    map_dsp : str
        What makes a multiplier block of a multiplication in Yosys.
    absorb : tuple of str
        Commands of Yosys that move registers into multiplier blocks, where those are as good as free.
    dsp_bits : tuple of (int, int)
        Operands of a multiplier block.
    distributed : bool
        Whether there are memories of lookup tables.
    lut, bram, dsp : mapping of str to float
        Weights of nextpnr's kinds of place.
    bram_kib : int
        Of a block memory.
    ff : str or None
        Kind of place; None where it is shared with lookup tables and the netlist's flip-flops are counted.
    pins : str
        Suffix of the constraints file.
    constraints : callable
        Makes its text of the pins and the clock.
    part : callable
        Makes the arguments of nextpnr of an ordering code.
    place : callable
        Makes the arguments of nextpnr of a constraints file and an output file.
    placed, packed : str
        Names of nextpnr's output and of the bitstream.
    pack : callable
        Makes the arguments of the packer of its input and output.
    trim : callable, optional
        Told the netlist that goes to nextpnr, as Yosys' JSON has it, changes it so that nextpnr needs fewer cells.
    places : callable, optional
        Told the cells of a netlist by kind, and one by one as Yosys' JSON has them, returns what nextpnr makes of them.
    """

    synth: str
    map_dsp: str
    dsp_bits: tuple[int, int]
    distributed: bool
    lut: Mapping[str, float]
    bram: Mapping[str, float]
    dsp: Mapping[str, float]
    bram_kib: int
    ff: str | None
    pins: str
    constraints: Callable[[Shell, float], str]
    part: Callable[[str], list[str]]
    place: Callable[[str, str], list[str]]
    placed: str
    packed: str
    pack: Callable[[str, str], list[str]]
    absorb: tuple[str, ...] = ()
    trim: Callable[[dict[str, Any]], None] | None = None
    places: Places | None = None


def ports(shell: Shell) -> dict[str, str]:
    """Return the pins of a board by the ports of the serial shell."""
    return {"clk": shell.clock, "rx": shell.rx, "tx": shell.tx, "led": shell.led}


def reads(cells: Iterable[Mapping[str, Any]]) -> Iterator[int | str]:
    """Yield the wires at all inputs of cells of Yosys' JSON, constants such as "0" among them."""
    for cell in cells:
        for port, wires in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                yield from wires


def read_part(pattern: str, part: str, example: str) -> re.Match[str]:
    """Return the match of an ordering code.

    Parameters
    ----------
    pattern : str
        Of all ordering codes that nextpnr knows.
    part : str
        The field of a board.
    example : str
        One that the pattern matches.

    Raises
    ------
    UserError
        When the pattern does not match.
    """
    found = re.fullmatch(pattern, part)
    if found is None:
        raise UserError(f"'{part}' is no part that is placed and routed here; the field 'part' reads like {example}.")
    return found


def mul2dsp(library: str, name: str, bits: int) -> str:
    """Return what makes a multiplier block of a multiplication in Yosys.

    Parameters
    ----------
    library : str
        File of Yosys that makes the family's block of the cell `name`.
    name : str
    bits : int
        Of each operand.
    """
    widths = f"-D DSP_A_MAXWIDTH={bits} -D DSP_B_MAXWIDTH={bits} -D DSP_A_MINWIDTH=2 -D DSP_B_MINWIDTH=2"
    return f"techmap -map +/mul2dsp.v -map +/{library} {widths} -D DSP_NAME={name}"
