"""Lattice ECP5: Yosys, nextpnr-ecp5 and ecppack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from codesign.backends.rtl.families.family import Family, mul2dsp, ports, read_part, reads
from codesign.backends.rtl.synthesis import Counts, require_counted
from codesign.boards import Shell


def _lpf(shell: Shell, clock_mhz: float) -> str:
    lines = [f'LOCATE COMP "{port}" SITE "{pin}";' for port, pin in ports(shell).items()]
    lines += [f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33;' for port in ("clk", "tx", "led")]
    lines += ['IOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;', f'FREQUENCY PORT "clk" {clock_mhz:g} MHZ;']
    return "\n".join(lines) + "\n"


def _part(part: str) -> list[str]:
    found = read_part(r"LFE5U-(12|25|45|85)F-([678])BG(256|381|554|756)[CI]", part, "LFE5U-25F-6BG381C")
    return [f"--{found[1]}k", "--package", f"CABGA{found[3]}", "--speed", found[2]]


_COUNTED = {"LUT4", "CCU2C", "TRELLIS_DPR16X4", "TRELLIS_FF", "DP16KD", "PDPW16KD", "MULT18X18D", "PFUMX", "L6MUX21"}


def _places(kinds: Mapping[str, int], cells: Sequence[Mapping[str, Any]]) -> Counts:
    """Return what nextpnr makes of cells.

    A carry cell takes two lookup tables, and so does each one that it puts in front of a chain, and behind one whose
    carry is read; a distributed memory takes four that hold it and the place of two for its write port. Of a whole
    design it uses one or two more, for constants.
    """
    require_counted(kinds, _COUNTED)
    number = Counter(kinds)
    carries = [cell["connections"] for cell in cells if cell["type"] == "CCU2C"]
    read = set(reads(cells))
    taken, handed_on = ([wire for own in carries for wire in own.get(port, [])] for port in ("CIN", "COUT"))
    # Constants, and the "x" of a carry that is left open, are no wires.
    carried = {wire for wire in handed_on if isinstance(wire, int)}
    starts = sum(wire not in carried for wire in taken)
    ends = len((carried & read).difference(taken))
    luts = number["LUT4"] + 2 * (number["CCU2C"] + starts + ends) + 6 * number["TRELLIS_DPR16X4"]
    blocks = number["DP16KD"] + number["PDPW16KD"]
    return Counts(luts, number["TRELLIS_FF"], blocks / 2, number["MULT18X18D"], number["CCU2C"])


def _trim(netlist: dict[str, Any]) -> None:
    """Leave carries open that nobody reads: nextpnr leads every one that has a wire out of its chain by a cell more."""
    for module in netlist["modules"].values():
        read = set(reads(module["cells"].values()))
        for port in module["ports"].values():
            read.update(port["bits"])
        for cell in module["cells"].values():
            if cell["type"] == "CCU2C" and not read.intersection(cell["connections"].get("COUT", [])):
                cell["connections"]["COUT"] = ["x"]


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
    trim=_trim,
    places=_places,
)
