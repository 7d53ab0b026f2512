"""What was measured, as lines of JSON: every block or node with its parameters, the tool, and what it takes."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import itertools
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from io import RawIOBase
from pathlib import Path
from typing import Annotated, Any

import msgspec

from codesign.backends.rtl import described
from codesign.backends.rtl.calibration import apart, designs, measure
from codesign.backends.rtl.serial_shell import TOP as SHELL
from codesign.backends.rtl.synthesis import Counts
from codesign.errors import UserError
from codesign.estimate import Block
from codesign.estimate import blocks as known
from codesign.estimate.fitting import Measured
from codesign.estimate.technology import KNOWN, Technology

DATA = Path(known.__path__[0]).parent / "data"
_UNTOLD = {"WEIGHTS", "BIASES", "STARTS", "CONSTANTS", "THRESHOLDS", "DIGEST"}
"""Parameters that say nothing: names of memory files, and by what a network is told from others."""
_NUMBER = re.compile(rb'\{"design":(\d*)')
_NAME = b',"name":"'
"""What a line begins by."""

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line.

    Attributes
    ----------
    design : int
        Seed of `designs.draw`.
    name : str
        A node, or the name of a block in `apart.distinct`.
    node : bool
    dsp : bool
        Whether multiplications could take multiplier blocks.
    tool : str
    blocks : list of (str, dict)
        Modules and parameters.
    lut, ff, dsp48, carry : int
    bram36 : float
    large : bool
        Whether it is of the designs with large nodes.
    family : str
        Of the cells, by the name of a fit.
    """

    design: _Count
    name: str
    node: bool
    dsp: bool
    tool: str
    blocks: list[tuple[str, dict[str, Any]]]
    lut: _Count
    ff: _Count
    bram36: Annotated[float, msgspec.Meta(ge=0)]
    dsp48: _Count
    carry: _Count
    large: bool = False
    family: str = "xc7"


def records(
    seed: int, tool: str, counts: dict[str, Counts], node: bool, large: bool = False, family: str = "xc7"
) -> list[Record]:
    """Return the lines of a design.

    Parameters
    ----------
    seed : int
    tool : str
    counts : dict of str to Counts
        As `measure.nodes` or `measure.blocks` returns them.
    node : bool
        Which of them.
    large : bool
        See `designs.draw`.
    family : str
        Of the cells, by the name of a fit.
    """
    found = []
    for name, (parts, dsp) in _parts(seed, node, large, KNOWN[family]).items():
        took = counts[name]
        listed = [(part.module, _told(part)) for part in parts]
        values = dataclasses.asdict(took)
        values["dsp48"] = values.pop("dsp")
        found.append(Record(seed, name, node, dsp, tool, listed, **values, large=large, family=family))
    return found


def append(path: Path, lines: Sequence[Record]) -> None:
    """Add the lines of a design to a file, all of them or none; other processes may be adding theirs.

    A design that is there already is left as it is. What a write that was killed has left is cut off, see `read`.

    Raises
    ------
    UserError
        When the file is no such file, or the system refuses the write.
    """
    encoder = msgspec.json.Encoder()
    text = b"".join(encoder.encode(line) + b"\n" for line in lines)
    new = {(line.design, line.large) for line in lines}
    try:
        with path.open("a+b", buffering=0) as file:
            _lock(file)
            file.seek(0)
            content = file.read()
            found, size = _parsed(path, content)
            if any((line.design, line.large) in new for line in found):
                return
            if size and content[size - 1 : size] != b"\n":
                text = b"\n" + text
            file.truncate(size)
            try:
                written = 0
                while written < len(text):
                    written += file.write(text[written:])
            except BaseException:
                file.truncate(size)
                raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; what is in it is as it was.") from error


def _lock(file: RawIOBase) -> None:
    """Wait until no other process holds a file, where the file system can tell."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise


def read(path: Path) -> list[Record]:
    """Return the lines of a file, none where there is no file.

    What a write that was killed has left is left out: a last line that was cut off, and the first lines of the last
    design where others of it are not there.

    Raises
    ------
    UserError
        When another line is no record, or it cannot be read.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        # Nothing is read from a device or pipe.
        content = path.read_bytes() if regular else b""
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; choose another file.") from error
    if not regular:
        raise UserError(f"{path} is no file; choose another one for the measurements.")
    return _parsed(path, content)[0]


def _parsed(path: Path, content: bytes) -> tuple[list[Record], int]:
    """Return the lines of a file, and behind how many bytes there is only what a write that was killed has left."""
    found: list[Record] = []
    ends = [0]
    decoder = msgspec.json.Decoder(Record)
    lines = content.split(b"\n")
    torn: bytes | None = None
    for number, line in enumerate(lines, 1):
        last = number == len(lines)
        if last and not line:
            break
        try:
            found.append(decoder.decode(line))
        except (ValueError, RecursionError) as error:
            if not (last and _is_torn(line)):
                raise UserError(f"{path}, line {number}: {error}; delete the lines of its design.") from error
            torn = line
        else:
            ends.append(min(ends[-1] + len(line) + 1, len(content)))
    whole = len(found) - _unfinished(found, torn)
    return found[:whole], ends[whole]


def _is_torn(line: bytes) -> bool:
    """Return whether a line that is no record is the beginning of one."""
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        number = _NUMBER.match(line)
        if number is None:
            return b'{"design":'.startswith(line)
        rest = line[number.end() :]
        return rest.startswith(_NAME) or _NAME.startswith(rest)
    return False


def _unfinished(lines: Sequence[Record], torn: bytes | None) -> int:
    """Return how many of the last lines are the first of a design that lacks the others.

    None are where the line that was cut off is of another design, behind which nothing is missing but by hand.
    """
    if not lines or lines[-1].family not in KNOWN:
        return 0
    last = lines[-1]
    number = _NUMBER.match(torn or b"")
    if torn and number and number.end() < len(torn) and int(number[1]) != last.design:
        return 0
    key = last.design, last.node, last.large, last.family
    own = list(itertools.takewhile(lambda each: (each.design, each.node, each.large, each.family) == key, lines[::-1]))
    names = list(_parts(last.design, last.node, last.large, KNOWN[last.family]))
    there = [each.name for each in reversed(own)]
    return len(own) if len(own) < len(names) and there == names[: len(own)] else 0


def require(lines: Iterable[Record], family: str) -> None:
    """Raise `UserError` when one of the lines was measured for another family."""
    for line in lines:
        if line.family != family:
            raise UserError(
                f"design {line.design} was measured for {line.family}, not for {family}; give a file for {family}."
            )


def measured(lines: Iterable[Record], family: str = "xc7") -> Iterator[Measured]:
    """Yield what the lines say, with a census of every block; designs are drawn again for what memories hold.

    Raises
    ------
    UserError
        When a design comes out otherwise than when it was measured, or was measured for another family.
    """
    drawn: dict[tuple[int, bool, bool], dict[str, tuple[list[Block], bool]]] = {}
    for line in lines:
        require([line], family)
        key = line.design, line.node, line.large
        if key not in drawn:
            drawn.clear()
            drawn[key] = _parts(*key, KNOWN[family])
        parts, dsp = drawn[key].get(line.name, ([], False))
        listed = [(part.module, _told(part)) for part in parts]
        if msgspec.json.encode(listed) != msgspec.json.encode(line.blocks) or dsp != line.dsp:
            raise UserError(
                f"{line.name} of design {line.design} is another one now than when it was measured; "
                "measure anew into another file with codesign calibrate --data."
            )
        censuses = [(part.module, known.module(part.module).census(part)) for part in parts]
        # A large design and a small one of the same number are two.
        yield Measured(2 * line.design + line.large, censuses, line.node, line.lut, line.ff)


def _parts(seed: int, node: bool, large: bool, technology: Technology) -> dict[str, tuple[list[Block], bool]]:
    """Return the blocks of a design by name, and whether they may take multiplier blocks."""
    design = designs.draw(seed, large, technology)
    layout = design.layout()
    if node:
        rows = {each.name: list(described.parts(layout, each.name)) for each in design.graph}
    else:
        rows = {name: [block] for name, block in apart.distinct(layout)}
    named = {name: (described.in_a_row(row, design.dsp, design.free), design.dsp) for name, row in rows.items()}
    if node and technology.serial:
        named[SHELL] = [described.shell(layout, measure.SHELL_CLOCKS, led_low=False)], False
    return {
        name: ([dataclasses.replace(each, technology=technology) for each in row], dsp)
        for name, (row, dsp) in named.items()
    }


def _told(block: Block) -> dict[str, Any]:
    """Return the parameters of a block that say something."""
    return {name: value for name, value in block.parameters.items() if name not in _UNTOLD and value is not None}
