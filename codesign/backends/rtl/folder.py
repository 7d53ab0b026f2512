"""Names of what lies in a project folder beside its sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GRAPH_FILE = "graph.cdg"
MAP_FILE = "map.json"
ORDERS = "channel_orders"
"""In the map, the order of the channels of edges that have another one in hardware than in the graph."""

FREE = "multiplier_blocks_free"
"""In the map, whether the multiplier blocks are as good as free; where it is not, they are not."""


def read_map(folder: Path) -> dict[str, Any]:
    """Return what ``map.json`` of a project folder says."""
    about: dict[str, Any] = json.loads((folder / MAP_FILE).read_bytes())
    return about


def allowed_blocks(folder: Path) -> tuple[int, bool]:
    """Return how many multiplier blocks the project of a folder may take, and whether they are as good as free."""
    about = read_map(folder)
    return about["multiplier_blocks"], about.get(FREE, False)
