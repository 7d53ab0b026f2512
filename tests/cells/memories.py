"""Block memories of the vendors as plain Python, and how their pins are wired to the fields of a test."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

NO_CHANGE, WRITE_FIRST, READ_FIRST = range(3)
CLOCKS = 600
FIELDS = {"enable": 1, "reset": 1, "we": 8, "address": 15, "data": 72}
"""What a test drives for each port, and how wide."""


@dataclass(frozen=True)
class Port:
    """One port of a memory.

    Parameters
    ----------
    width : int
        Bits of a word; 0: the port is not used.
    mode : int
        What it reads while it writes.
    reads, writes : bool
    """

    width: int
    mode: int = NO_CHANGE
    reads: bool = True
    writes: bool = True

    @property
    def count(self) -> int:
        """Bytes of a word."""
        return max(1, self.width // 9)


@dataclass(frozen=True)
class Memory:
    """A block memory to test.

    Parameters
    ----------
    cell : str
        Its name is that of the model's file.
    vendor : str
        Folder of the file.
    parameters, pins : mapping of str to str
        Verilog; the pins in terms of the fields of both ports.
    outs : (str, str)
        Verilog of the words read by the ports, of 72 bits, of the wires in `wires`.
    wires : mapping of str to int
        Outputs by pin, with their widths.
    ports : (Port, Port)
    layout : {"xilinx", "ecp5", "gowin8", "gowin9"}
        Of the first content in parameters.
    size : int
        Bytes.
    old, gated : bool
        See hw/cells/block_memory.sv.
    reset : (int, int)
    """

    cell: str
    vendor: str
    parameters: Mapping[str, str]
    pins: Mapping[str, str]
    outs: tuple[str, str]
    wires: Mapping[str, int]
    ports: tuple[Port, Port]
    layout: str
    size: int = 2048
    old: bool = False
    gated: bool = False
    reset: tuple[int, int] = (0, 0)
    content: list[int] = field(default_factory=list)

    def filled(self, rng: np.random.Generator) -> Memory:
        """Return the memory with a random content."""
        return dataclasses.replace(self, content=rng.integers(0, 512, self.size).tolist())

    def contents(self) -> dict[str, str]:
        """Return the parameters that hold the first content."""
        low = [byte & 255 for byte in self.content]
        if self.layout == "xilinx":
            ninth = "".join(str(byte >> 8) for byte in reversed(self.content))
            bits = "".join(f"{byte:08b}" for byte in reversed(low))
            return {**_lines("INIT", bits, 256), **_lines("INITP", ninth, 256)}
        if self.layout == "ecp5":
            pairs = zip(self.content[1::2], self.content[::2], strict=True)
            words = [f"00{high:09b}{lower:09b}" for high, lower in pairs]
            return _lines("INITVAL", "".join(reversed(words)), 320)
        nine = self.layout == "gowin9"
        text = [f"{byte:09b}" for byte in self.content] if nine else [f"{byte:08b}" for byte in low]
        return _lines("INIT_RAM", "".join(reversed(text)), 288 if nine else 256)

    def stimuli(self, rng: np.random.Generator) -> list[list[dict[str, int]]]:
        """Return what is driven in each clock, for both ports; no byte is written by both."""
        found = []
        for _ in range(CLOCKS):
            drive = [self._drive(rng, port) for port in self.ports]
            a, b = ({i for i, _ in self._written(port, d)} for port, d in zip(self.ports, drive, strict=True))
            if a & b:
                drive[1]["we"] = 0
            found.append(drive)
        return found

    def _drive(self, rng: np.random.Generator, port: Port) -> dict[str, int]:
        writing = port.width and port.writes and rng.random() < 0.5
        # Few addresses, so that reads meet writes.
        address = int(rng.integers(0, 32 * 8)) + (self.size * 8 - 256 if rng.random() < 0.3 else 0)
        return {
            "enable": int(rng.random() < 0.8),
            "reset": int(rng.random() < 0.05),
            "we": int(rng.integers(1, 1 << port.count)) if writing else 0,
            "address": address,
            "data": int.from_bytes(rng.bytes(9), "little"),
        }

    def _first(self, port: Port, address: int) -> int:
        return (address >> 3) // port.count * port.count

    def _written(self, port: Port, drive: Mapping[str, int]) -> list[tuple[int, int]]:
        """Return bytes that a port is to write, and their numbers in the word."""
        if not (port.width and port.writes and drive["enable"]):
            return []
        first = self._first(port, drive["address"])
        return [(first + k, k) for k in range(port.count) if drive["we"] >> k & 1]

    def _word(self, bytes_: Sequence[int], port: Port, address: int) -> int:
        first = self._first(port, address)
        if port.width >= 9:
            return sum(bytes_[first + k] << 9 * k for k in range(port.count))
        shift = address % 8 // port.width * port.width
        return bytes_[first] >> shift & (1 << port.width) - 1

    def run(self, stimuli: Sequence[Sequence[Mapping[str, int]]]) -> list[list[int | None]]:
        """Return the outputs before every clock; None where a port shows nothing."""
        eight = self.layout == "gowin8"
        bytes_ = [byte & 255 if eight else byte for byte in self.content]
        outs = [0, 0]
        seen: list[list[int | None]] = []
        for drive in stimuli:
            seen.append(
                [out if port.reads and port.width else None for out, port in zip(outs, self.ports, strict=True)]
            )
            before = list(bytes_)
            written = [self._written(port, d) for port, d in zip(self.ports, drive, strict=True)]
            for port, d, places in zip(self.ports, drive, written, strict=True):
                for place, k in places:
                    if port.width >= 9:
                        bytes_[place] = d["data"] >> 9 * k & (255 if eight else 511)
                    else:
                        shift = d["address"] % 8 // port.width * port.width
                        mask = (1 << port.width) - 1 << shift
                        bytes_[place] = bytes_[place] & ~mask | d["data"] << shift & mask
            for index, (port, d) in enumerate(zip(self.ports, drive, strict=True)):
                if not port.width:
                    continue
                first = self._first(port, d["address"])
                hit = any(first <= place < first + port.count for place, _ in written[1 - index])
                bits = port.count * 9 if port.width >= 9 else port.width
                flip = (1 << bits) - 1 if hit and not self.old else 0
                if eight and flip and port.width >= 9:
                    flip = sum(255 << 9 * k for k in range(port.count))
                own = list(before)
                for place, _ in written[index]:
                    own[place] = bytes_[place]
                if d["reset"] and (d["enable"] or not self.gated):
                    outs[index] = self.reset[index] & (1 << bits) - 1
                elif d["enable"] and not written[index]:
                    outs[index] = self._word(before, port, d["address"]) ^ flip
                elif d["enable"] and port.mode != NO_CHANGE:
                    source = own if port.mode == WRITE_FIRST else before
                    outs[index] = self._word(source, port, d["address"]) ^ flip
        return seen


def _lines(name: str, bits: str, width: int) -> dict[str, str]:
    """Return parameters of `width` bits each, of a string that begins with the highest bit."""
    lines = [bits[end - width : end] for end in range(len(bits), 0, -width)]
    return {f"{name}_{number:02X}": f"{width}'h{int(line, 2):x}" for number, line in enumerate(lines)}


def _joined(port: str, bytes_: int, ninth: bool, first: int = 0) -> str:
    """Return the eight bits, or the ninth ones, of bytes of the data of a port."""
    places = [9 * k for k in reversed(range(first, first + bytes_))]
    return "{" + ", ".join(f"{port}_data[{p + 8}]" if ninth else f"{port}_data[{p}+:8]" for p in places) + "}"


def _spread(data: str, ninth: str | None, bytes_: int) -> str:
    """Return bytes of nine bits, of pins with eight and with one bit of each byte."""
    parts = [f"{f'{ninth}[{k}]' if ninth else '1{zero}'}, {data}[{8 * k}+:8]" for k in reversed(range(bytes_))]
    return f"72'({{{', '.join(parts)}}})".replace("1{zero}", "1'b0")


def xilinx(cell: str, a: Port, b: Port, simple: bool = False) -> Memory:
    """Return a block memory of the 7 series."""
    bytes_ = 2 if cell == "RAMB18E1" else 4
    modes = ["NO_CHANGE", "WRITE_FIRST", "READ_FIRST"]
    both = simple and max(a.width, b.width) > 9 * bytes_
    parameters = {
        "RAM_MODE": '"SDP"' if simple else '"TDP"',
        "READ_WIDTH_A": str(a.width if a.reads else 0),
        "READ_WIDTH_B": str(b.width if b.reads else 0),
        "WRITE_WIDTH_A": str(a.width if a.writes else 0),
        "WRITE_WIDTH_B": str(b.width if b.writes else 0),
        "WRITE_MODE_A": f'"{modes[a.mode]}"',
        "WRITE_MODE_B": f'"{modes[b.mode]}"',
        "SRVAL_A": "18'h2a5",
        "SRVAL_B": "18'h11",
    }
    high = 14 if bytes_ == 2 else 15
    top = "" if bytes_ == 2 else "1'b1, "
    pins = {
        "CLKARDCLK": "clk",
        "CLKBWRCLK": "clk",
        "ENARDEN": "a_enable",
        "ENBWREN": "b_enable",
        "REGCEAREGCE": "1'b0",
        "REGCEB": "1'b0",
        "RSTREGARSTREG": "1'b0",
        "RSTREGB": "1'b0",
        "RSTRAMARSTRAM": "a_reset",
        "RSTRAMB": "1'b0" if simple else "b_reset",
        "ADDRARDADDR": f"{{{top}a_address[{high - 1}:0]}}",
        "ADDRBWRADDR": f"{{{top}b_address[{high - 1}:0]}}",
        "DIADI": _joined("b" if both else "a", bytes_, False),
        "DIPADIP": _joined("b" if both else "a", bytes_, True),
        # The upper half of a word takes the pins of the other port.
        "DIBDI": _joined("b", bytes_, False, bytes_ if both else 0),
        "DIPBDIP": _joined("b", bytes_, True, bytes_ if both else 0),
        "WEA": "'0" if simple else f"a_we[{bytes_ - 1}:0]",
        "WEBWE": f"b_we[{2 * bytes_ - 1}:0]",
    }
    wires = {"DOADO": 8 * bytes_, "DOPADOP": bytes_, "DOBDO": 8 * bytes_, "DOPBDOP": bytes_}
    out_a, out_b = _spread("DOADO", "DOPADOP", bytes_), _spread("DOBDO", "DOPBDOP", bytes_)
    if both:
        out_a = f"{out_a} | ({out_b} << {9 * bytes_})"
    return Memory(
        cell,
        "xilinx",
        parameters,
        pins,
        (out_a, out_b),
        wires,
        (a, b),
        "xilinx",
        size=1024 * bytes_,
        old=b.mode == READ_FIRST and (simple or a.mode == READ_FIRST),
        gated=True,
        reset=(0x11 << 9 * bytes_ | 0x2A5, 0) if both else (0x2A5, 0x11),
    )


def _enables(port: Port) -> int:
    """Return how many byte enables stand in the lowest bits of an address."""
    return port.count if port.writes and port.width >= 18 else 0


def _address(name: str, port: Port) -> str:
    low = _enables(port)
    return f"{{{name}_address[13:{low}], {name}_we[{low - 1}:0]}}" if low else f"{name}_address[13:0]"


def ecp5(a: Port, b: Port) -> Memory:
    """Return a DP16KD; words of 36 bits are written by port A and read by port B."""
    modes = ['"NORMAL"', '"WRITETHROUGH"', '"READBEFOREWRITE"']
    parameters = {"DATA_WIDTH_A": str(a.width), "DATA_WIDTH_B": str(b.width)}
    parameters |= {"WRITEMODE_A": modes[a.mode], "WRITEMODE_B": modes[b.mode]}
    pins = {}
    for name, low, port in (("A", "a", a), ("B", "b", b)):
        pins |= {f"CLK{name}": "clk", f"CE{name}": f"{low}_enable", f"OCE{name}": "1'b1", f"RST{name}": f"{low}_reset"}
        pins |= {f"CS{name}{k}": "1'b0" for k in range(3)}
        # Words with byte enables may always write.
        pins[f"WE{name}"] = ("1'b1" if _enables(port) else f"{low}_we[0]") if port.writes else "1'b0"
        pins |= {f"AD{name}{k}": f"{low}_{'we' if k < _enables(port) else 'address'}[{k}]" for k in range(14)}
        upper = name == "B" and a.width == 36
        pins |= {f"DI{name}{k}": f"a_data[{k + 18}]" if upper else f"{low}_data[{k}]" for k in range(18)}
    wires = {f"DO{name}{k}": 1 for name in "AB" for k in range(18)}
    low, high = ("{" + ", ".join(f"DO{name}{k}" for k in reversed(range(18))) + "}" for name in "AB")
    outs = (f"72'({low})", f"72'({{{high}, {low}}})" if b.width == 36 else f"72'({high})")
    return Memory("DP16KD", "ecp5", parameters, pins, outs, wires, (a, b), "ecp5")


def gowin(cell: str, a: Port, b: Port) -> Memory:
    """Return a block memory of Gowin."""
    nine = "9" in cell
    one, simple = cell.startswith("SP"), cell.startswith("SDP")
    largest = (2 if cell.startswith("D") else 4) * (9 if nine else 8)
    bytes_ = largest // (9 if nine else 8)

    def bits(port: Port) -> str:
        return str(port.width if nine or port.width < 8 else port.width // 9 * 8)

    def data(port: str) -> str:
        return f"{port}_data[{largest - 1}:0]" if nine else _joined(port, bytes_, False)

    def out(wire: str) -> str:
        return f"72'({wire})" if nine else _spread(wire, None, bytes_)

    pins = {}
    if one:
        parameters = {"BIT_WIDTH": bits(a), "WRITE_MODE": f"2'd{a.mode}"}
        pins = {"CLK": "clk", "CE": "a_enable", "OCE": "1'b1", "RESET": "a_reset", "WRE": "a_we != 0", "BLKSEL": "3'b0"}
        pins |= {"AD": _address("a", a), "DI": data("a")}
        outs, wires = (out("DO"), "72'b0"), {"DO": largest}
    else:
        parameters = {"BIT_WIDTH_0": bits(a), "BIT_WIDTH_1": bits(b)}
        pins = {"CLKA": "clk", "CLKB": "clk", "CEB": "b_enable", "RESETA": "1'b0" if simple else "a_reset"}
        pins |= {"RESETB": "b_reset", "BLKSELA": "3'b0", "BLKSELB": "3'b0", "ADA": _address("a", a)}
        pins["ADB"] = _address("b", b)
        if simple:
            pins |= {"CEA": "a_enable && a_we != 0", "OCE": "1'b1", "DI": data("a")}
            outs, wires = ("72'b0", out("DO")), {"DO": largest}
        else:
            parameters |= {"WRITE_MODE0": f"2'd{a.mode}", "WRITE_MODE1": f"2'd{b.mode}"}
            pins |= {"CEA": "a_enable", "OCEA": "1'b1", "OCEB": "1'b1", "WREA": "a_we != 0", "WREB": "b_we != 0"}
            pins |= {"DIA": data("a"), "DIB": data("b")}
            outs, wires = (out("DOA"), out("DOB")), {"DOA": largest, "DOB": largest}
    layout = "gowin9" if nine else "gowin8"
    return Memory(cell, "gowin", parameters, pins, outs, wires, (a, b), layout)
