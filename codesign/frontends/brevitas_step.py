"""What the layers and the functions of the Brevitas frontend share: a point of the walk, and reading arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import fx

from codesign.errors import UserError
from codesign.frontends.values import Value

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
    if any(order[reader] > order[node] for alias in _aliases(node.args[0]) for reader in alias.users):
        raise UserError(f"{label!r} works in place on a value that is read again later; use inplace=False.")


def _aliases(node: fx.Node) -> set[fx.Node]:
    """Return the nodes whose tensors may share memory with a node's, itself included."""
    found, waiting = {node}, [node]
    while waiting:
        current = waiting.pop()
        sources = [current.args[0]] if _shares(current) else []
        for other in (*sources, *(user for user in current.users if _shares(user))):
            if isinstance(other, fx.Node) and other not in found:
                found.add(other)
                waiting.append(other)
    return found


def _shares(node: fx.Node) -> bool:
    """Tell whether a node may return the very memory it reads."""
    if not node.args:
        return False
    if node.op == "call_module" and node.graph.owning_module is not None:
        name = type(node.graph.owning_module.get_submodule(str(node.target))).__name__
    else:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name in _SHARING


_SHARING = {
    "Dropout", "Dropout2d", "Flatten", "Identity", "contiguous", "detach", "dropout", "flatten", "float", "getattr",
    "identity", "reshape", "view",
}  # fmt: skip


def pair(value: Any) -> tuple[int, int]:
    """Return (rows, columns) of what torch takes as one number or two."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    """Return an argument of a call, by its position or its name."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)
