"""Lattice iCE40: Yosys, nextpnr-ice40 and icepack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from codesign.backends.rtl.families import logic_cells
from codesign.backends.rtl.families.family import Family, mul2dsp, ports, read_part
from codesign.backends.rtl.synthesis import Counts, require_counted
from codesign.boards import Shell


def _pcf(shell: Shell, clock_mhz: float) -> str:
    lines = [f"set_io {'-pullup yes ' * (port == 'rx')}{port} {pin}" for port, pin in ports(shell).items()]
    return "\n".join([*lines, f"set_frequency clk {clock_mhz:g}"]) + "\n"


def _part(part: str) -> list[str]:
    found = read_part(r"iCE40((?:UP|HX|LP)\d+K)-?([A-Z]+\d+)", part, "iCE40UP5K-SG48")
    return [f"--{found[1].lower()}", "--package", found[2].lower()]


_KIB = 4
"""Of a block memory."""


def _places(kinds: Mapping[str, int], cells: Sequence[Mapping[str, Any]]) -> Counts:
    """Return what nextpnr makes of cells: logic cells, each with a lookup table, a flip-flop, a carry, or several."""
    flip_flops = {kind for kind in kinds if kind.startswith("SB_DFF")}
    require_counted(kinds, {*flip_flops, "SB_LUT4", "SB_CARRY", "SB_RAM40_4K", "SB_MAC16"})
    number = Counter(kinds)
    registers = sum(number[kind] for kind in flip_flops)
    memories = _KIB / 36 * number["SB_RAM40_4K"]
    return Counts(logic_cells.count(cells), registers, memories, number["SB_MAC16"], number["SB_CARRY"])


FAMILY = Family(
    synth="synth_ice40",
    map_dsp=mul2dsp("ice40/dsp_map.v", "$__MUL16X16", 16),
    dsp_bits=(16, 16),
    distributed=False,
    # A logic cell holds a lookup table, a flip-flop, or both.
    lut={"ICESTORM_LC": 1},
    bram={"ICESTORM_RAM": 1},
    dsp={"ICESTORM_DSP": 1},
    bram_kib=_KIB,
    ff=None,
    pins="pcf",
    constraints=_pcf,
    part=_part,
    place=lambda pins, out: ["--pcf", pins, "--asc", out],
    placed="placed.asc",
    packed="network.bin",
    pack=lambda source, out: [source, out],
    places=_places,
    # The last one looks for registers with an enable, which the first two make of registers and multiplexers, and would
    # make blocks of multiplications that are to have none; `mapping.synthesise` names these back. It would take the
    # registers that block ROMs are read by as well, without which they are none.
    absorb=(
        "opt_dff",
        "opt_clean",
        "memory_dff a:rom_style=block",
        "chtype -set $__soft_mul t:$mul",
        "ice40_dsp",
    ),
)
