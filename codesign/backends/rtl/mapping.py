"""Yosys' scripts for the families of the open tools: up to the widths of multiplications, and on to a netlist."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

NARROWEST = 5
"""Bits of both operands from which a multiplication may take a multiplier block; narrower ones are small in lookup
tables."""

FREE_BITS = 6
"""Bits of both operands together from which a product takes a multiplier block that costs nothing."""
LOGIC_SHARE = 0.4
"""Of the period of a clock, what lookup tables between two registers may take; wires and registers have the rest."""
CLOCK_MHZ = 25.0
"""Clock of a network that is mapped without a board's shell: that of most boards' oscillators."""
SHARED = "side_by_side"
"""Attribute of multiplications that outputs share, in `hw/rtl/mvau_shared.sv`."""


def elaborate(top: str, sources: Sequence[str], distributed: bool, place: str) -> str:
    """Return Yosys' script up to the widths of all multiplications.

    Parameters
    ----------
    top : str
        The top level, behind it its parameters as `read_slang` takes them.
    sources : sequence of str
    distributed : bool
        Whether the family has memories of lookup tables.
    place : str
        For the results, "" or "NAME/".
    """
    lines = [f"read_slang --threads 1 --top {top} {' '.join(sources)}", *free_memories(distributed)]
    lines += [*widths(top.split()[0], f"{place}multiplications.txt"), f"write_rtlil {place}design.il"]
    return "\n".join(lines) + "\n"


def free_memories(distributed: bool) -> list[str]:
    """Return the commands of Yosys that let a family without memories of lookup tables choose for itself.

    The library asks for these where a memory is small.
    """
    return [] if distributed else ["setattr -unset ram_style a:ram_style=distributed"]


def widths(top: str, dump: str) -> list[str]:
    """Return the commands of Yosys that write all multiplications, as wide as they must be, by module to a file."""
    steps = [f"hierarchy -top {top}", "proc", "flatten", "opt_expr", "opt_clean", "wreduce"]
    return [*steps, f"tee -q -o {dump} dump -m t:$mul"]


def synthesise(
    top: str,
    synth: str,
    map_dsp: str,
    elaborated: str,
    chosen: Sequence[str],
    absorb: Sequence[str] = (),
    *,
    clock_mhz: float,
) -> str:
    """Return Yosys' script from there to the mapped cells.

    Parameters
    ----------
    top : str
    synth : str
        Command of Yosys, without multiplier blocks.
    map_dsp : str
        What makes a multiplier block of a multiplication in Yosys.
    elaborated : str
        Where the results of `elaborate` are.
    chosen : sequence of str
        Multiplications that take multiplier blocks; of another module than the top level as ``module/cell``.
    absorb : sequence of str
        Commands that move registers into the blocks.
    clock_mhz : float
        That the design is to reach.
    """
    lines = [f"read_rtlil {elaborated}design.il", unhurried(clock_mhz)]
    if chosen:
        lines += [f"{map_dsp} {' '.join(name if '/' in name else f'{top}/{name}' for name in chosen)}"]
        lines += ["setattr -unset mul2dsp a:mul2dsp", "opt_expr -fine", "wreduce", *absorb]
        lines += ["chtype -set $mul t:$__soft_mul"]
    return "\n".join([*lines, two_steps(synth, top)])


def unhurried(clock_mhz: float) -> str:
    """Return the command that has Yosys map lookup tables as fast as a clock asks for, and not as fast as it can.

    As fast as it can, it gives each bit of a register a function of its own of all that decides about the register,
    in up to eight tables of four inputs instead of one.
    """
    return f"scratchpad -set abc9.D {round(LOGIC_SHARE * 1e6 / clock_mhz)}"


def two_steps(synth: str, top: str, memories: str = "map_ram") -> str:
    """Return what maps the cells, to the end of the command so that more options can follow.

    Parameters
    ----------
    synth : str
        Command of Yosys.
    top : str
    memories : str
        Label of the step of the command that maps memories.

    Notes
    -----
    The library keeps wires, so that adders stay two at a time. That is settled before memories are mapped, and must
    end there: where lookup tables are mapped (`abc9`), Yosys gives a wire that is kept and driven by several cells
    two drivers, and resolves that as undefined.
    """
    return f"{synth} -top {top} -run begin:{memories}\nsetattr -unset keep w:*\n{synth} -top {top} -run {memories}:"


def choose(dump: str, bits: tuple[int, int], blocks: int, free: bool = False) -> list[str]:
    """Return the multiplications that take multiplier blocks, as long as there are blocks.

    Those that outputs share come first, then the largest ones.

    Parameters
    ----------
    dump : str
        All cells ``$mul``, as Yosys' ``dump`` writes them.
    bits : (int, int)
        Operands of a block.
    blocks : int
        Blocks that may be taken.
    free : bool
        They are as good as free: products take them from `FREE_BITS` on, however narrow an operand is, but for one bit,
        of which Yosys makes no block.

    Returns
    -------
    list of str
        Names of cells; those that outputs share first, then the largest one first.
    """
    found = []
    before, *cells = re.split(r"^\s*cell \$mul ", dump, flags=re.MULTILINE)
    for cell in cells:
        # The attributes of a cell stand above it.
        shared, before = f"attribute \\{SHARED} " in before.rsplit("\n  end\n", 1)[-1], cell
        a, b = (int(re.findall(rf"parameter \\{port}_WIDTH (\d+)", cell)[0]) for port in "AB")
        constant = re.search(r"connect \\[AB] \d+'", cell)
        wide = min(a, b) >= (2 if free and a + b >= FREE_BITS else NARROWEST)
        if shared or (wide and not constant):
            takes = math.ceil(max(a, b) / max(bits)) * math.ceil(min(a, b) / min(bits))
            found.append((not shared, -a * b, cell.split(maxsplit=1)[0], takes))
    chosen = []
    for _, _, name, takes in sorted(found):
        if takes <= blocks:
            chosen.append(name)
            blocks -= takes
    return chosen
