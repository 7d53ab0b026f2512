"""BiTAT's schedule beside a training of QKeras; see `codesign.quant.bitat`."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from codesign.errors import DivergedError, UserError
from codesign.quant.bitat_companion import Bitat, Layer
from codesign.quant.bitat_transform import correlation_blocks
from codesign.quant.keras._base import keras, qkeras, tf
from codesign.quant.keras._bitat_stage import Stage

KERNELS = {"kernel_quantizer_internal": "kernel", "depthwise_quantizer_internal": "depthwise_kernel"}
"""Attributes of layers that hold a quantizer of weights, and those of the weights."""


class KerasLayer(Layer):
    """One layer of a Keras network in a BiTAT training.

    Parameters
    ----------
    layer : keras layer
        A `QConv2D`, `QDepthwiseConv2D` or `QDense`.
    stage : Stage
        Of its quantizer.
    before : keras model
        From the inputs of the network to those of the layer.
    """

    def __init__(self, layer: Any, stage: Stage, before: Any) -> None:
        # Not that of torch layers, which asks for their weights.
        self.name, self.module, self.quantizer = layer.name, layer, stage  # type: ignore[assignment]
        self.dimensions, self.before = stage.dimensions, before
        self.correlation: Tensor | None = None

    def begin(self, correlation: Tensor) -> None:
        """Begin the layer's turn, or take it up again, with the correlation of its inputs."""
        super().begin(correlation)
        self.stage.matrix.assign(correlation.numpy())

    @property
    def stage(self) -> Stage:
        """What the quantizer reads."""
        return cast(Stage, self.quantizer)

    def measure(self, network: Any, x: Any) -> Tensor:
        """Return the correlation blocks of the layer's inputs when the network reads `x`."""
        columns = self._columns(self.before(x, training=False))
        if not np.isfinite(columns).all():
            raise DivergedError(
                f"what layer '{self.name}' reads is no longer finite, so that its turn of BiTAT cannot begin; lower "
                "the learning rate."
            )
        return correlation_blocks(torch.from_numpy(columns), self.stage.block)

    def _columns(self, x: Any) -> Any:
        """Return the layer's inputs as its kernel sees them, (batch, dimensions, positions) float32."""
        layer: Any = self.module
        if isinstance(layer, keras.layers.Dense):
            return np.array(x, dtype=np.float32).reshape(-1, self.dimensions, 1)
        sizes, strides, rates = ([1, *pair, 1] for pair in (layer.kernel_size, layer.strides, layer.dilation_rate))
        patches = tf.image.extract_patches(x, sizes, strides, rates, layer.padding.upper())
        pixels, channels = int(np.prod(layer.kernel_size)), int(x.shape[-1])
        found = np.array(patches, dtype=np.float32).reshape(len(x), -1, pixels, channels)
        # The groups of a grouped convolution share one C: they are further samples of it.
        return found.transpose(0, 3, 2, 1).reshape(-1, self.dimensions, found.shape[1])


class KerasBitat(Bitat):
    """The companion of a Keras network; its penalty is among the `losses` of the network, not here.

    Parameters
    ----------
    network : keras model
        Functional or sequential.
    layers : list of KerasLayer
        From the bottom to the top, at least one.
    """

    def penalty(self) -> None:
        """Return None: the quantizers add their errors to the losses of the network."""

    def finish(self) -> None:
        """Make every layer binary, and take what belongs to the training out of the quantizers."""
        super().finish()
        for layer in self.layers:
            cast(Stage, layer.quantizer).end()


def layers_of(network: Any, kind: type[Any]) -> list[KerasLayer]:
    """Return the layers whose quantizer is of a class, from the bottom to the top, each at the begin of a training.

    Raises
    ------
    UserError
        When one of them cannot be told its inputs: the network is neither functional nor sequential, calls it more than
        once or holds it in a network of its own, or it is no 2D convolution or dense layer with channels last. When two
        of them share a quantizer, or that of a depthwise convolution is for another.
    """
    made, seen = [], set()
    for layer in network.layers:
        for attribute, name in KERNELS.items():
            quantizer = getattr(layer, attribute, None)
            if isinstance(quantizer, kind):
                _require_columns(network, layer, quantizer)
                if id(quantizer) in seen:
                    raise UserError(
                        f"layer '{layer.name}' has the BiTAT quantizer of another layer; give each one of its own, "
                        'or the string "BitatWeight()".'
                    )
                seen.add(id(quantizer))
                made.append((layer, quantizer, getattr(layer, name), _before(network, layer)))
    for part in network.submodules:
        if isinstance(part, kind) and id(part) not in seen:
            raise UserError(
                f"the quantizer '{part.name}' has BiTAT weights of a layer within another layer or network, whose "
                "inputs cannot be read; put its layers into one functional or sequential model."
            )
    return [KerasLayer(layer, quantizer.begin(kernel), before) for layer, quantizer, kernel, before in made]


def _before(network: Any, layer: Any) -> Any:
    """Return the part of a network in front of a layer."""
    # A layer may have been called in other networks too.
    calls = [n for n in range(len(layer.inbound_nodes)) if f"{layer.name}_ib-{n}" in network._network_nodes]
    if len(calls) != 1:
        raise UserError(
            f"layer '{layer.name}' is called {len(calls)} times in the network; BiTAT has weights for layers that are "
            "called once."
        )
    return keras.Model(network.inputs, layer.get_input_at(calls[0]))


def _require_columns(network: Any, layer: Any, quantizer: Any) -> None:
    """Raise `UserError` for a layer whose inputs cannot be read or cut into columns."""
    if not network.inputs:
        raise UserError(
            f"layer '{layer.name}' has BiTAT weights, for which the network must be a functional or sequential model "
            "whose input shape is known."
        )
    kinds = (qkeras.QConv2D, qkeras.QDepthwiseConv2D, qkeras.QDense)
    if not isinstance(layer, kinds):
        raise UserError(
            f"layer '{layer.name}' is a {type(layer).__name__}; BiTAT has weights for QConv2D, QDepthwiseConv2D and "
            "QDense."
        )
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise UserError(f"layer '{layer.name}' needs channels last for BiTAT weights.")
    if isinstance(layer, keras.layers.DepthwiseConv2D) and not quantizer.depthwise:
        raise UserError(
            f"layer '{layer.name}' needs \"BitatWeight(depthwise=True)\", as it is a depthwise convolution."
        )
