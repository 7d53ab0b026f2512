"""Re-quantisation with constants that an index chooses for each frame."""

from __future__ import annotations

from requantise import Table
from streams import Case, Words

INDEX = 4
"""Bits of an index."""


def case(module: str, table: Table, frame: int, latency: int) -> Case:
    """Return an instance whose frames have `frame` words."""
    (entering, width), (leaving, width_out) = table.entering, table.leaving
    return Case(
        module,
        table.parameters | {"INDEX": INDEX, "WORDS": frame},
        {
            "in": Words(entering, {"in_data": width}),
            "index": Words(table.entry[::frame].tolist(), {"index_data": INDEX}),
        },
        {"out": Words(leaving, {"out_data": width_out})},
        files=table.files,
        latency=latency,
    )
