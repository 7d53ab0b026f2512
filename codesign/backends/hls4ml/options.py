"""What a user may choose when emitting an hls4ml project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from codesign.errors import UserError

IO_TYPES = ("io_stream", "io_parallel")
STRATEGIES = ("Resource", "Latency")


@dataclass(frozen=True)
class Options:
    """Options of `codesign.backends.hls4ml.emit`.

    Parameters
    ----------
    io_type : {"io_stream", "io_parallel"}
        Edges as streams of pixels, or as arrays of wires.
    strategy : {"Resource", "Latency"}
        With "Latency" every layer computes an output in one step unless `reuse_factor` says otherwise; with
        "Resource" the steps are chosen to fit the board unless `reuse_factor` says otherwise.
    reuse_factor : int or mapping of str to int, optional
        Steps per output for all layers, or by node name ("n0", …); rounded to the nearest possible value.
    clock_mhz : float, optional
        Clock, the board's own by default.
    vectors : int
        Frames of the test bench.
    seed : int
        Of the frames of the test bench.
    """

    io_type: Literal["io_stream", "io_parallel"] = "io_stream"
    strategy: Literal["Resource", "Latency"] = "Resource"
    reuse_factor: int | Mapping[str, int] | None = None
    clock_mhz: float | None = None
    vectors: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("io_type", self.io_type, IO_TYPES)
        _one_of("strategy", self.strategy, STRATEGIES)
        factors = self.reuse_factor
        values = list(factors.values()) if isinstance(factors, Mapping) else [] if factors is None else [factors]
        if not all(isinstance(value, int) and value >= 1 for value in values):
            raise UserError(f"reuse factors are whole numbers from 1 on, not {factors!r}.")
        if self.clock_mhz is not None and not 1 <= self.clock_mhz <= 1000:
            raise UserError(f"the clock must be 1 to 1000 MHz, not {self.clock_mhz:g}.")
        if not isinstance(self.vectors, int) or self.vectors < 1:
            raise UserError(f"the test bench needs at least one vector, not {self.vectors!r}.")


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"{name} is {' or '.join(known)}, not {value!r}.")
