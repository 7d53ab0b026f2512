"""The quantisation methods of `codesign.quant` for QKeras, one per file.

A method is a module with any of

- ``weight(bits, per_channel, depthwise, **options)``, which returns the quantizer of a layer's kernel,
- ``activation(bits, signed, **options)``, which returns the quantizer of an activation, that of a ReLU's input
  when it is unsigned,
- ``companion(network)``, which returns what acts beside a training of the network, or None; see
  `codesign.quant.companion.Companion`.

The first two compute what the torch method of the same name computes, forwards and backwards. The quantizers are Keras
layers and go where QKeras takes a quantizer; what they learn are variables of the layer they serve. Give them as
strings, which every format of saved models keeps::

    from codesign.quant.keras import post, lsq
    QConv2D(16, 3, kernel_quantizer="PostWeight(4)", use_bias=False)
    QActivation("LsqActivation(4)")

Their names are known to `qkeras.get_quantizer` and to Keras' own registry as soon as this package is imported
and one of its methods loaded, so that saved models can be read. Of weights, an object serves as well
(``kernel_quantizer=post.PostWeight(4)``) and is kept by the formats .keras and .h5; a SavedModel of it is written but
cannot be loaded, which ends in "'dict' object has no attribute '_serialized_attributes'", because QKeras puts the
object's configuration in its place. An activation is given by its string in any case, as QKeras keeps nothing else of
it in a saved model.

Do not call `qkeras.utils.model_save_quantized_weights` for weights whose scale is learned, those of LSQ, POST, POT and
APoT: it knows of kernel and bias alone, so that a layer with a bias ends in a ValueError of `set_weights`, with the
layers before it overwritten, and one without has its scale in the place of the bias. `codesign.api.from_qkeras` gives
their integers. Adding a method is adding a file.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from codesign import quant
from codesign.errors import UserError


def names() -> list[str]:
    """Return the names of all methods for QKeras, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def method(name: str) -> ModuleType:
    """Return the module of a method.

    Raises
    ------
    UserError
        When there is none of that name, or QKeras is not installed.
    """
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? Known" if close else "known"
        raise UserError(f"there is no quantisation method '{name}' for QKeras; {hint}: {', '.join(known)}.")
    return importlib.import_module(f"{__name__}.{name}")


def offering(part: str) -> list[str]:
    """Return the names of the methods that quantise `part`: "weight" or "activation"."""
    return [name for name in names() if hasattr(method(name), part)]


def make(name: str, part: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return the quantizer of a method.

    Parameters
    ----------
    name : str
        Of the method.
    part : {"weight", "activation"}
    arguments : tuple
        What every method is given for that part.
    options : mapping
        Keyword arguments, as the model file has them.

    Raises
    ------
    UserError
        When the method does not quantise that part, has no such width, or an option is unknown, of the
        wrong type or out of range.
    """
    function = getattr(method(name), part, None)
    if function is None:
        kind = "weights" if part == "weight" else "activations"
        raise UserError(
            f"the quantisation method '{name}' of QKeras is not for {kind}; these are: {', '.join(offering(part))}."
        )
    return quant.call(function, name, arguments, options)


def companion(network: Any, name: str) -> Any | None:
    """Return the companion that a method of this package has for a network; None when it has none.

    Parameters
    ----------
    network : keras model
    name : str
        Of a method, or of a quantizer of QKeras itself.
    """
    make = getattr(method(name), "companion", None) if name in names() else None
    return make(network) if make is not None else None


def register() -> None:
    """Load all methods, so that QKeras and Keras know their quantizers by name."""
    for name in names():
        method(name)
