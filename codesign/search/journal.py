"""The journal of a search: one line of JSON for each evaluation, safe on disk before the next one counts.

A search that was killed is continued by running it again with its journal: the strategy is asked and told as before,
and what the journal knows is not evaluated a second time. So no state of a strategy is ever stored, and the result is
that of an undisturbed run. A line that a kill has torn is cut off.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from codesign.errors import UserError
from codesign.files import create
from codesign.search.problem import Evaluation

FORMAT = 1


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a journal belongs to; a search of anything else does not touch it.

    Attributes
    ----------
    problem : str
        Digest of the problem.
    strategy : str
    options : dict
    seed : int
    format : int
    """

    problem: str
    strategy: str
    options: dict[str, Any]
    seed: int
    format: int = FORMAT

    @property
    def file_name(self) -> str:
        """Name of the journal: of the strategy, its seed, and a digest of the rest."""
        rest = hashlib.sha256(msgspec.json.encode([self.problem, self.options], order="deterministic")).hexdigest()
        return f"{self.strategy}-{self.seed}-{rest[:8]}.jsonl"


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One evaluation.

    Attributes
    ----------
    asked : str
        Digest of the assignment that the strategy asked for.
    evaluation : Evaluation
    """

    asked: str
    evaluation: Evaluation


class Journal:
    """A journal that is being written. Use it as a context manager.

    Parameters
    ----------
    path : Path
        Read if there is one already, otherwise made.
    header : Header

    Attributes
    ----------
    known : dict of str to Evaluation
        By digest of what was asked for.

    Raises
    ------
    UserError
        When the file belongs to another search, is no journal, or another process is writing it.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        if not path.exists():
            create(path, msgspec.json.encode(header) + b"\n")
        try:
            self._file = open(path, "r+b")  # noqa: SIM115 - open as long as the journal is
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}.") from error
        try:
            self._lock()
            self.known = self._read(header)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def add(self, asked: str, evaluation: Evaluation) -> None:
        """Append an evaluation; it is on disk when this returns.

        Raises
        ------
        UserError
            When the system refuses the write.
        """
        try:
            self._file.write(msgspec.json.encode(Line(asked, evaluation)) + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror or error}; the same command goes on from there."
            ) from error
        self.known[asked] = evaluation

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"another search is writing {self.path}; wait for it or choose another seed.") from error

    def _read(self, header: Header) -> dict[str, Evaluation]:
        found, lines, good = _parse(self.path, self._file.read())
        if msgspec.to_builtins(found) != msgspec.to_builtins(header):
            raise UserError(f"{self.path} belongs to another search; remove it or choose another folder.")
        # Whatever lies behind the last whole line is what a kill left of one.
        self._file.seek(good)
        self._file.truncate()
        return {line.asked: line.evaluation for line in lines}


def read(path: Path) -> tuple[Header, list[Evaluation]]:
    """Return header and evaluations of a journal, in the order in which they were written.

    Raises
    ------
    UserError
        When it cannot be read or is no journal.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    header, lines, _ = _parse(path, content)
    return header, [line.evaluation for line in lines]


def _parse(path: Path, content: bytes) -> tuple[Header, list[Line], int]:
    """Return the header, the whole lines, and where the last of them ends."""
    first, newline, rest = content.partition(b"\n")
    try:
        header = msgspec.json.decode(first, type=Header)
    except ValueError as error:
        raise UserError(f"{path} is no journal of a search; remove it or choose another folder.") from error
    if not newline or header.format != FORMAT:
        raise UserError(f"{path} was written by another version of codesign; remove it or choose another folder.")
    good = len(first) + 1
    lines: list[Line] = []
    for text in rest.splitlines(keepends=True):
        if not text.endswith(b"\n"):
            break
        try:
            lines.append(msgspec.json.decode(text, type=Line))
        except ValueError:
            break
        good += len(text)
    return header, lines, good
