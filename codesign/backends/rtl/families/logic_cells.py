"""The logic cells of iCE40 that nextpnr packs Yosys' cells into: a lookup table, a flip-flop, a carry, or several.

What is counted follows `ice40/pack.cc` and `ice40/chains.cc` of nextpnr.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codesign.backends.rtl.families.family import reads

TILE = 8
"""Logic cells of a tile, whose flip-flops share clock, enable, and set or reset."""

Wire = int | str


@dataclass(eq=False)
class _Cell:
    """A logic cell.

    Parameters
    ----------
    inputs : list of (int or str or None)
        Of the lookup table, I0 to I3; None where they are open or a constant 0.
    out : int or str or None
        Of the lookup table, or of the flip-flop behind it.
    control : tuple, optional
        Clock, enable, set or reset, and edge of its flip-flop; None without one.
    carries : bool
        Whether its carry is used.
    carry_in, carry_out : int or str or None
        Wires; None for constants.
    """

    inputs: list[Wire | None]
    out: Wire | None = None
    control: tuple[Any, ...] | None = None
    carries: bool = False
    carry_in: Wire | None = None
    carry_out: Wire | None = None

    @property
    def hands_on(self) -> bool:
        """Whether its carry out has a wire."""
        return self.carries and self.carry_out is not None


def count(cells: Sequence[Mapping[str, Any]]) -> int:
    """Return how many logic cells a netlist takes.

    A flip-flop goes with the lookup table that drives it alone; a carry with a table of the same two operands that adds
    the carry before it, or with a table of two inputs that drives one of its operands. A chain whose first carry is a
    signal has a feed-in cell in front, and a carry that is read by something else than the table that adds it has a
    feed-out cell. Where the flip-flops of a tile would differ in their control, a feed-out and a feed-in cell part the
    chain.

    Parameters
    ----------
    cells : sequence of mapping
        Of one module, as Yosys' JSON has them. A wire that leaves the module by a port alone counts as not read.
    """
    packed = _tables_and_registers(cells)
    packed += _with_carries(packed, [cell["connections"] for cell in cells if cell["type"] == "SB_CARRY"])
    packed = _merged(packed)
    # What reads wires beside tables and carries.
    others = Counter(reads(cell for cell in cells if cell["type"] not in ("SB_LUT4", "SB_CARRY")))
    readers = _readers(packed)
    return len(packed) + sum(_feeds(chain, readers, others) for chain in _chains(packed, readers))


def _net(cell: Mapping[str, Any], port: str) -> Wire | None:
    """Return the wire of a port, None for a constant 0 and for one that is open."""
    wire: Wire | None = next(iter(cell.get(port, [])), None)
    return None if wire in ("0", "x") else wire


def _tables_and_registers(cells: Sequence[Mapping[str, Any]]) -> list[_Cell]:
    """Return the logic cells of lookup tables and flip-flops."""
    users = Counter(reads(cells))
    tables = []
    for cell in cells:
        if cell["type"] == "SB_LUT4":
            own = cell["connections"]
            tables.append(_Cell([_net(own, port) for port in ("I0", "I1", "I2", "I3")], _net(own, "O")))
    drivers = {table.out: table for table in tables}
    alone = []
    for cell in cells:
        if cell["type"].startswith("SB_DFF"):
            own = cell["connections"]
            falling = "N" in cell["type"].removeprefix("SB_DFF")
            control = _net(own, "C"), _net(own, "E"), _net(own, "R") or _net(own, "S"), falling
            value = _net(own, "D")
            driver = drivers.get(value) if value is not None else None
            if driver is not None and users[own["D"][0]] == 1:
                driver.control, driver.out = control, _net(own, "Q")
            else:
                alone.append(_Cell([None] * 4, _net(own, "Q"), control))
    return [*tables, *alone]


def _with_carries(packed: Sequence[_Cell], carries: Sequence[Mapping[str, Any]]) -> list[_Cell]:
    """Give carries to logic cells that have the same operands; return new cells for the others."""
    adds: dict[Wire, _Cell] = {}
    same: dict[tuple[Wire | None, Wire | None], list[_Cell]] = defaultdict(list)
    for cell in packed:
        if cell.inputs[3] is not None:
            adds.setdefault(cell.inputs[3], cell)
        same[cell.inputs[1], cell.inputs[2]].append(cell)
    new = []
    for own in carries:
        operands, carry_in = (_net(own, "I0"), _net(own, "I1")), own["CI"][0]
        among = [cell for cell in same[operands] if not cell.carries] if operands != (None, None) else []
        if carry_in in ("0", "1"):
            host = among[0] if len(among) == 1 else None
        else:
            host = next((cell for cell in among if cell is adds.get(carry_in)), None)
        if host is None:
            host = _Cell([None, *operands, None])
            new.append(host)
        host.carries, host.carry_out = True, _net(own, "CO")
        host.carry_in = None if carry_in == "1" else _net(own, "CI")
    return new


def _merged(packed: Sequence[_Cell]) -> list[_Cell]:
    """Return the cells without those tables of two inputs that go into a cell with a carry alone, whose operand they
    drive.
    """
    drivers = {cell.out: cell for cell in packed if cell.out is not None}
    gone: set[int] = set()
    for cell in packed:
        if not cell.carries or cell.out is not None:
            continue
        for wire in cell.inputs[1:3]:
            driver = drivers.get(wire) if wire is not None else None
            if driver is None or id(driver) in gone or driver.carries or driver.control:
                continue
            if driver.inputs[0] is None and driver.inputs[1] is None:
                gone.add(id(driver))
                cell.inputs[0], cell.inputs[3], cell.out = driver.inputs[2], driver.inputs[3], driver.out
                break
    return [cell for cell in packed if id(cell) not in gone]


@dataclass
class _Read:
    """Where logic cells read a wire: as I3, as carry in, and at how many inputs in all."""

    adds: list[_Cell]
    carries: list[_Cell]
    number: int = 0


def _readers(packed: Sequence[_Cell]) -> dict[Wire, _Read]:
    found: dict[Wire, _Read] = defaultdict(lambda: _Read([], []))
    for cell in packed:
        for place, wire in enumerate(cell.inputs):
            if wire is not None:
                found[wire].number += 1
                if place == 3:
                    found[wire].adds.append(cell)
        if cell.carries and cell.carry_in is not None:
            found[cell.carry_in].number += 1
            found[cell.carry_in].carries.append(cell)
    return found


def _chains(packed: Sequence[_Cell], readers: Mapping[Wire, _Read]) -> Iterator[list[_Cell]]:
    """Yield the chains of carries, each with the table behind it that adds its last carry.

    A carry that begins with one which goes on elsewhere is a chain of its own.
    """
    carries = [cell for cell in packed if cell.carries]
    made = {cell.carry_out for cell in carries if cell.hands_on}
    done: set[int] = set()
    for start in carries:
        cell: _Cell | None = start if start.carry_in not in made else None
        chain: list[_Cell] = []
        while cell is not None:
            chain.append(cell)
            done.add(id(cell))
            read = readers.get(cell.carry_out) if cell.hands_on and cell.carry_out is not None else None
            after = [*read.carries, *(each for each in read.adds if not each.hands_on)] if read else []
            cell = next((each for each in after if id(each) not in done), None)
        if chain:
            yield chain
    for cell in carries:
        if id(cell) not in done:
            yield [cell]


def _feeds(chain: Sequence[_Cell], readers: Mapping[Wire, _Read], others: Mapping[Wire, int]) -> int:
    """Return the cells that lead carries of a chain in and out."""
    more, place, begins = 0, 0, True
    tile: list[_Cell] = []
    while place < len(chain):
        cell = chain[place]
        if begins:
            fed = cell.carries and cell.carry_in is not None
            more += fed
            tile, begins = [_FEED] * fed, False
        elif len(tile) >= TILE:
            tile = []
        if _differ([*tile, cell]):
            # A feed-out cell takes its place, and it comes again behind a feed-in cell.
            more, begins = more + 1, True
            continue
        tile.append(cell)
        last = place == len(chain) - 1
        if cell.hands_on and _leaves(cell, last, readers, others):
            more += 1
            tile.append(_FEED)
            begins = not last and _differ([*tile, chain[place + 1]])
        place += 1
    return more


_FEED = _Cell([None] * 4)


def _differ(tile: Sequence[_Cell]) -> bool:
    """Return whether flip-flops of a tile differ in their control."""
    return len({cell.control for cell in tile if cell.control}) > 1


def _leaves(cell: _Cell, last: bool, readers: Mapping[Wire, _Read], others: Mapping[Wire, int]) -> bool:
    """Return whether the carry of a cell is read by something else than the next cell of its chain."""
    wire = cell.carry_out
    assert wire is not None  # noqa: S101 - asked of cells that hand a carry on
    read = readers.get(wire)
    number = (read.number if read else 0) + others.get(wire, 0)
    if number <= 1 and not last:
        return False
    adds, carries = (next(iter(each), None) for each in ((read.adds, read.carries) if read else ((), ())))
    return number > 2 or adds is not carries or (last and not (number == 1 and adds is not None))
