"""Which quantisation methods a network uses."""

from __future__ import annotations

from typing import Any

import msgspec


class Method(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How weights and activations are quantised: names of files in `codesign/quant`.

    Attributes
    ----------
    weights, activations : str
        Of the hidden layers.
    edges : str
        Of what is not at the width of the hidden layers: weights of the first and of the last layer,
        operands of residual additions, input of the last layer. The same for all methods unless it is
        chosen, so that methods are compared where they differ.
    weight_options, activation_options : dict
        Options of the methods of the hidden layers.
    """

    weights: str = "lsq"
    activations: str = "lsq"
    edges: str = "lsq"
    weight_options: dict[str, Any] = {}
    activation_options: dict[str, Any] = {}

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.weights} weights, {self.activations} activations"
