"""Lattice iCE40: Yosys, nextpnr-ice40 and icepack."""

from __future__ import annotations

from codesign.backends.rtl.families.family import Family, mul2dsp, ports, read_part
from codesign.boards import Shell


def _pcf(shell: Shell, clock_mhz: float) -> str:
    lines = [f"set_io {'-pullup yes ' * (port == 'rx')}{port} {pin}" for port, pin in ports(shell).items()]
    return "\n".join([*lines, f"set_frequency clk {clock_mhz:g}"]) + "\n"


def _part(part: str) -> list[str]:
    found = read_part(r"iCE40((?:UP|HX|LP)\d+K)-?([A-Z]+\d+)", part, "iCE40UP5K-SG48")
    return [f"--{found[1].lower()}", "--package", found[2].lower()]


FAMILY = Family(
    synth="synth_ice40",
    map_dsp=mul2dsp("ice40/dsp_map.v", "$__MUL16X16", 16),
    dsp_bits=(16, 16),
    distributed=False,
    # A logic cell holds a lookup table, a flip-flop, or both.
    lut={"ICESTORM_LC": 1},
    bram={"ICESTORM_RAM": 1},
    dsp={"ICESTORM_DSP": 1},
    bram_kib=4,
    ff=None,
    pins="pcf",
    constraints=_pcf,
    part=_part,
    place=lambda pins, out: ["--pcf", pins, "--asc", out],
    placed="placed.asc",
    packed="network.bin",
    pack=lambda source, out: [source, out],
    # The last one looks for registers with an enable, which the first two make of registers and multiplexers, and would
    # make blocks of multiplications that are to have none; `mapping.synthesise` names these back.
    absorb=("opt_dff", "opt_clean", "chtype -set $__soft_mul t:$mul", "ice40_dsp"),
)
