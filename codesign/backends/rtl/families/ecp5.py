"""Lattice ECP5: Yosys, nextpnr-ecp5 and ecppack."""

from __future__ import annotations

from codesign.backends.rtl.families.family import Family, mul2dsp, ports, read_part
from codesign.boards import Shell


def _lpf(shell: Shell, clock_mhz: float) -> str:
    lines = [f'LOCATE COMP "{port}" SITE "{pin}";' for port, pin in ports(shell).items()]
    lines += [f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33;' for port in ("clk", "tx", "led")]
    lines += ['IOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;', f'FREQUENCY PORT "clk" {clock_mhz:g} MHZ;']
    return "\n".join(lines) + "\n"


def _part(part: str) -> list[str]:
    found = read_part(r"LFE5U-(12|25|45|85)F-([678])BG(256|381|554|756)[CI]", part, "LFE5U-25F-6BG381C")
    return [f"--{found[1]}k", "--package", f"CABGA{found[3]}", "--speed", found[2]]


FAMILY = Family(
    synth="synth_ecp5 -nodsp",
    map_dsp=mul2dsp("lattice/dsp_map_18x18.v", "$__MUL18X18", 18),
    dsp_bits=(18, 18),
    distributed=True,
    lut={"TRELLIS_COMB": 1},
    bram={"DP16KD": 1},
    dsp={"MULT18X18D": 1},
    bram_kib=18,
    ff="TRELLIS_FF",
    pins="lpf",
    constraints=_lpf,
    part=_part,
    # The other router takes several times as long.
    place=lambda pins, out: ["--lpf", pins, "--textcfg", out, "--router", "router2"],
    placed="placed.config",
    packed="network.bit",
    pack=lambda source, out: ["--input", source, "--bit", out, "--compress"],
)
