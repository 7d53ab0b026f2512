"""What the layers and the functions of the Brevitas frontend share: a point of the walk, and reading arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import fx

from codesign.errors import UserError
from codesign.frontends.lowering import Value

WAY_OUT = "see 'Supported layers' in the README"


@dataclass(frozen=True)
class Step:
    """What the walk knows at one point of the module.

    Parameters
    ----------
    value : Value
        Integer edge and meaning, channels last.
    order : ndarray of int64 or None
        After a flatten: torch feature index of each feature of the edge (torch flattens channels first).
    """

    value: Value
    order: np.ndarray | None = None


def refuse_overwriting(node: fx.Node, label: str, in_place: bool) -> None:
    """Refuse an operation in place on a value that a later one reads: the walk would read the old value."""
    if not in_place or not node.args or not isinstance(node.args[0], fx.Node):
        return
    order = {other: position for position, other in enumerate(node.graph.nodes)}
    if any(order[reader] > order[node] for reader in node.args[0].users):
        raise UserError(f"{label!r} works in place on a value that is read again later; use inplace=False.")


def pair(value: Any) -> tuple[int, int]:
    """Return (rows, columns) of what torch takes as one number or two."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    """Return an argument of a call, by its position or its name."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)
