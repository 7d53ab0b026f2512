"""What a command says: its result on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

import rich_click as click
from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

_PIPE_WIDTH = 160


class Console:
    """Where one command writes.

    Parameters
    ----------
    stream : text file
        The true standard output.
    as_json : bool
        Print the result as one JSON object instead of for people.
    """

    def __init__(self, stream: IO[str], as_json: bool) -> None:
        self.as_json = as_json
        self._stream = stream
        self._out = _rich(stream)
        self._err = _rich(sys.stderr)

    def result(self, data: Mapping[str, Any], *shown: RenderableType) -> None:
        """Print the result: `data` as JSON, or `shown` for people. Call it once, at the end."""
        if self.as_json:
            self._stream.write(json.dumps(data, default=_plain, allow_nan=False) + "\n")
        else:
            for renderable in shown:
                self._out.print(renderable, soft_wrap=isinstance(renderable, str), markup=False, highlight=False)
        self._stream.flush()

    def say(self, text: str) -> None:
        """Tell people what is going on, on standard error."""
        self._err.print(text, soft_wrap=True, markup=False, highlight=False)

    @contextlib.contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show a progress bar on standard error; yields a function that advances it by so many units.

        Where standard error is no terminal, one line tells what has begun.
        """
        if not self._err.is_terminal:
            self.say(f"{description} ...")
        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *([MofNCompleteColumn(), TimeRemainingColumn()] if total is not None else []),
            console=self._err,
            transient=True,
            disable=not self._err.is_terminal,
        )
        with bar:
            task = bar.add_task(description, total=total)

            def advance(units: int = 1) -> None:
                bar.advance(task, units)

            yield advance


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> Table:
    """Return a table for people; numbers are set flush right, None is a dash."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    numeric = [
        any(isinstance(row[index], (int, float)) for row in rows)
        and all(row[index] is None or isinstance(row[index], (int, float)) for row in rows)
        for index in range(len(columns))
    ]
    for name, is_number in zip(columns, numeric, strict=True):
        whole = is_number or name in columns[:2]
        shown.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        # Text objects: cells never hold markup of ours, and the user's must not be read as such.
        shown.add_row(*(_cell(value) for value in row))
    return shown


def _cell(value: object) -> RenderableType:
    from rich.text import Text

    if value is None:
        return Text("–", style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, float):
        return Text(f"{value:,.2f}".rstrip("0").rstrip(".") if value.is_integer() else f"{value:,.2f}")
    return Text(f"{value:,}" if isinstance(value, int) else str(value))


def command(**settings: Any) -> Callable[[Callable[..., int | None]], click.Command]:
    """Make a command of a function ``(console, **options) -> exit code or None``.

    Adds --json, and keeps standard output free for the result: whatever libraries print goes to
    standard error.
    """

    def wrap(function: Callable[..., int | None]) -> click.Command:
        @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
        @functools.wraps(function)
        def run(as_json: bool, **options: Any) -> int:
            with _reserved_output() as stream:
                return function(Console(stream, as_json), **options) or 0

        made: click.Command = click.command(cls=click.RichCommand, **settings)(run)
        return made

    return wrap


def fail(message: str, code: int, as_json: bool) -> int:
    """Print one sentence on standard error, and as JSON on standard output; return `code`."""
    sentence = "".join(c if c.isprintable() else " " for c in message).strip()
    with contextlib.suppress(OSError):
        print(f"codesign: {sentence}", file=sys.stderr, flush=True)
    if as_json:
        with contextlib.suppress(OSError):
            sys.stdout.write(json.dumps({"error": sentence}) + "\n")
            sys.stdout.flush()
    return code


def flush(code: int) -> int:
    """Write out what is buffered; a full disk behind standard output is a failure too."""
    try:
        sys.stdout.flush()
    except OSError:
        abandon_output()
        return code or 2
    return code


def abandon_output() -> None:
    """Stop Python from complaining at exit about an output that cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def _reserved_output() -> Iterator[IO[str]]:
    """Yield the true standard output; meanwhile everything printed, by C code too, goes to standard error."""
    sys.stdout.flush()
    true = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(true, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as stream:
            yield stream
    finally:
        sys.stdout.flush()
        # Compiled simulations print through C's own buffer.
        ctypes.CDLL(None).fflush(None)
        os.dup2(true, 1)
        os.close(true)


def _rich(stream: IO[str]) -> RichConsole:
    # A pipe has no width; rich would fold tables to 80 columns.
    return RichConsole(file=stream, width=None if stream.isatty() else _PIPE_WIDTH, emoji=False)


def _plain(value: Any) -> Any:
    """Make JSON of what json does not know: NumPy numbers and arrays, paths."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def finite(value: float | None) -> float | None:
    """Return `value`, or None where JSON has no word for it (not a number, infinite)."""
    return None if value is None or not math.isfinite(value) else value
