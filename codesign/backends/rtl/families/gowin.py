"""Gowin GW2AR-18: Yosys, nextpnr-himbaechel and gowin_pack."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from codesign.backends.rtl.families.family import Family, mul2dsp, ports, read_part, reads
from codesign.backends.rtl.synthesis import Counts, require_counted
from codesign.boards import Shell

_DIE = "GW2A-18C"
"""Name of the die of all GW2AR-18 parts that the tools know."""


def _cst(shell: Shell, clock_mhz: float) -> str:
    lines = [f'IO_LOC "{port}" {pin};' for port, pin in ports(shell).items()]
    lines += [f'IO_PORT "{port}" IO_TYPE=LVCMOS33;' for port in ("clk", "tx", "led")]
    return "\n".join([*lines, 'IO_PORT "rx" IO_TYPE=LVCMOS33 PULL_MODE=UP;']) + "\n"


def _part(part: str) -> list[str]:
    read_part(r"GW2AR-LV18\w+/\w+", part, "GW2AR-LV18QN88C8/I7")
    return ["--device", part, "--vopt", f"family={_DIE}"]


_TABLES = ("LUT1", "LUT2", "LUT3", "LUT4")
_FLIP_FLOPS = ("DFF", "DFFE", "DFFR", "DFFRE", "DFFS", "DFFSE")
_MEMORIES = ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B")
_BLOCKS = {"MULT18X18": 1.0, "MULT9X9": 0.5, "MULT36X36": 4.0}
_FREE = ("MUX2_LUT5", "MUX2_LUT6", "MUX2_LUT7", "MUX2_LUT8", "GND", "VCC", "IBUF", "OBUF")
_OUTPUTS = {"ALU": "SUM", **dict.fromkeys(_TABLES, "F")}
"""Of what a flip-flop may stand beside."""
_COUNTED = {*_TABLES, *_FLIP_FLOPS, *_MEMORIES, *_BLOCKS, *_FREE, "ALU", "RAM16SDP4"}


def _places(kinds: Mapping[str, int], cells: Sequence[Mapping[str, Any]]) -> Counts:
    """Return what nextpnr makes of cells.

    A flip-flop takes its value from the lookup table or the carry beside it, so that one without either has a
    pass-through table; a distributed memory takes four tables. Where nextpnr finds no place for a flip-flop beside its
    carry, it needs some more of them, about one table of a hundred.
    """
    require_counted(kinds, _COUNTED)
    number = Counter(kinds)
    beside = {cell["connections"][_OUTPUTS[cell["type"]]][0] for cell in cells if cell["type"] in _OUTPUTS}
    flip_flops = [cell for cell in cells if cell["type"] in _FLIP_FLOPS]
    # A table or a carry has one flip-flop beside it.
    paired = len(beside & {cell["connections"]["D"][0] for cell in flip_flops})
    tables = sum(number[kind] for kind in _TABLES) + 4 * number["RAM16SDP4"] + len(flip_flops) - paired
    blocks = sum(number[kind] for kind in _MEMORIES)
    dsp = math.ceil(sum(weight * number[kind] for kind, weight in _BLOCKS.items()))
    return Counts(tables + _carries(cells), len(flip_flops), blocks / 2, dsp, number["ALU"])


def _carries(cells: Sequence[Mapping[str, Any]]) -> int:
    """Return the places of carries: one more in front of a chain, one behind it where its carry is read by anything but
    one next carry, which ends the chain, and one to make their number even.
    """
    carries = [cell["connections"] for cell in cells if cell["type"] == "ALU"]
    users = Counter(reads(cells))
    made = {wire for wires in carries for wire in wires.get("COUT", []) if users[wire] == 1}
    after = {wires["CIN"][0]: wires for wires in carries if wires["CIN"][0] in made}
    total = 0
    for wires in carries:
        if wires["CIN"][0] in after:
            continue
        length, last = 1, wires
        while following := after.get(next(iter(last.get("COUT", [])), None)):
            length, last = length + 1, following
        length += 1 + any(users[wire] for wire in last.get("COUT", []) if isinstance(wire, int))
        total += length + length % 2
    return total


FAMILY = Family(
    synth="synth_gowin -family gw2a -nodsp",
    map_dsp=mul2dsp("gowin/dsp_map.v", "$__MUL18X18", 18),
    dsp_bits=(18, 18),
    distributed=True,
    # A carry takes the place of a lookup table.
    lut={"LUT4": 1, "ALU": 1},
    bram={"BSRAM": 1},
    dsp=_BLOCKS,
    bram_kib=18,
    ff="DFF",
    pins="cst",
    constraints=_cst,
    part=_part,
    place=lambda pins, out: ["--vopt", f"cst={pins}", "--write", out],
    placed="placed.json",
    packed="network.fs",
    pack=lambda source, out: ["-d", _DIE, "-o", out, source],
    places=_places,
)
