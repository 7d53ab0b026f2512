"""Progress of a training on standard error: a bar on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Progress:
    """Reports epochs and steps.

    Parameters
    ----------
    name : str
        Of the model.
    epochs : int
        Number of epochs.
    enabled : bool
        False for silence.
    """

    def __init__(self, name: str, epochs: int, enabled: bool) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        self.name, self.epochs, self.enabled = name, epochs, enabled
        console = Console(stderr=True)
        self.terminal = enabled and console.is_terminal
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not self.terminal,
        )
        self.whole: Any = self.bars.add_task(f"{name} epochs", total=epochs, note="")
        self.part: Any = self.bars.add_task("steps", total=1, note="")

    def __enter__(self) -> Progress:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def resumed(self, epoch: int) -> None:
        """Say that the first `epoch` epochs were done before."""
        self.bars.update(self.whole, completed=epoch)
        if self.enabled and not self.terminal:
            self._line(f"{self.name}: continues after epoch {epoch}/{self.epochs}")

    def start_epoch(self, epoch: int, steps: int) -> None:
        """Begin an epoch of `steps` steps."""
        self.bars.reset(self.part, total=steps)

    def step(self) -> None:
        """Count one step."""
        self.bars.update(self.part, advance=1)

    def end_epoch(self, row: dict[str, float]) -> None:
        """Report the figures of a finished epoch."""
        words = [f"loss {row['loss']:.4f}", f"train {row['train_accuracy']:.2f} %"]
        if "validation_accuracy" in row:
            words.append(f"validation {row['validation_accuracy']:.2f} %")
        note = ", ".join(words)
        self.bars.update(self.whole, completed=row["epoch"], note=note)
        if self.enabled and not self.terminal:
            self._line(f"{self.name}: epoch {int(row['epoch'])}/{self.epochs}, {note}, {row['seconds']:.1f} s")

    @staticmethod
    def _line(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
