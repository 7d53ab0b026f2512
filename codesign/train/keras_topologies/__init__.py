"""Topologies of QKeras models by name. Every module of this folder is one topology.

Adding a topology is adding a file with a function `build(layers, shape, classes, **options) -> keras model`
that gives every layer a name: the checkpoint's tensors are called after it.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

from codesign.errors import UserError
from codesign.train import options as options_of

if TYPE_CHECKING:
    from codesign.train.keras_layers import KerasLayers


def names() -> list[str]:
    """Return the names of all topologies, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def build(topology: str, layers: KerasLayers, shape: tuple[int, ...], classes: int, options: dict[str, Any]) -> Any:
    """Build a network with fresh weights.

    Parameters
    ----------
    topology : str
        Name of a file in this folder.
    layers : KerasLayers
        Makes the layers.
    shape : tuple of int
        Shape of one input, channels last.
    classes : int
        Number of outputs.
    options : dict
        Further arguments of the topology.

    Raises
    ------
    UserError
        When the topology or one of its options is unknown, or an option has the wrong type or size.
    """
    known = names()
    if topology not in known:
        close = difflib.get_close_matches(topology, known, 1)
        hint = f"; did you mean {close[0]}?" if close else ";"
        raise UserError(f"there is no QKeras topology '{topology}'{hint} known: {', '.join(known)}.")
    function = importlib.import_module(f"{__name__}.{topology}").build
    return options_of.build(function, topology, (layers, shape, classes), options)
