"""A small residual network with a depthwise separable branch, for images of a few pixels."""

from __future__ import annotations

from typing import Any

from codesign.quant.qkeras_runtime import runtime
from codesign.train.keras_layers import KerasLayers


def build(layers: KerasLayers, shape: tuple[int, ...], classes: int, width: int = 16) -> Any:
    """Build the network.

    A 3x3 stem; a residual block whose branch is a depthwise 3x3 and a 1x1 convolution; a 2x2 max pool; a 3x3
    convolution to twice the channels; a 2x2 average pool; dense layer.
    """
    keras = runtime().keras
    inputs = keras.layers.Input(shape, name="input")
    x = layers.conv(width, 3, "stem", first=True)(inputs)
    x = layers.relu("stem_act")(layers.batch_norm("stem_bn")(x))
    branch = layers.depthwise(3, "depthwise")(x)
    branch = layers.relu("depthwise_act")(layers.batch_norm("depthwise_bn")(branch))
    branch = layers.batch_norm("pointwise_bn")(layers.conv(width, 1, "pointwise")(branch))
    res = layers.residual("res")
    x = keras.layers.Add(name="add")([res(branch), res(x)])
    x = keras.layers.MaxPooling2D(2, name="pool")(layers.relu("add_act")(x))
    x = layers.batch_norm("wide_bn")(layers.conv(2 * width, 3, "wide")(x))
    x = layers.relu("wide_act", last=True)(x)
    x = keras.layers.Flatten(name="flatten")(keras.layers.AveragePooling2D(2, name="mean")(x))
    return keras.Model(inputs, layers.dense(classes, "dense")(x))
