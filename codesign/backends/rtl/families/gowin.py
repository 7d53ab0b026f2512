"""Gowin GW2AR-18: Yosys, nextpnr-himbaechel and gowin_pack."""

from __future__ import annotations

from codesign.backends.rtl.families.family import Family, mul2dsp, ports, read_part
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


FAMILY = Family(
    synth="synth_gowin -family gw2a -nodsp",
    map_dsp=mul2dsp("gowin/dsp_map.v", "$__MUL18X18", 18),
    dsp_bits=(18, 18),
    distributed=True,
    # A carry takes the place of a lookup table.
    lut={"LUT4": 1, "ALU": 1},
    bram={"BSRAM": 1},
    dsp={"MULT18X18": 1, "MULT9X9": 0.5, "MULT36X36": 4},
    bram_kib=18,
    ff="DFF",
    pins="cst",
    constraints=_cst,
    part=_part,
    place=lambda pins, out: ["--vopt", f"cst={pins}", "--write", out],
    placed="placed.json",
    packed="network.fs",
    pack=lambda source, out: ["-d", _DIE, "-o", out, source],
)
