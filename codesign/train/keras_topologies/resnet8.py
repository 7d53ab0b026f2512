"""ResNet-8 of the MLPerf Tiny benchmark for QKeras: the layers, names and constants of `topologies.resnet8`."""

from __future__ import annotations

from typing import Any

from codesign.quant.qkeras_runtime import runtime
from codesign.train.keras_layers import KerasLayers


def build(layers: KerasLayers, shape: tuple[int, ...], classes: int, width: int = 16) -> Any:
    """Build ResNet-8 for images of `shape` (H, W, C); `width` channels in the first stack.

    A layer is called as in the torch network, with `_` for its dots, so that a training can start from the
    weights of that network.
    """
    keras = runtime().keras
    inputs = keras.layers.Input(shape, name="input")
    x = _norm(layers, "bn", layers.conv(width, 3, "stem", padding=1, first=True)(inputs))
    x = layers.relu("act")(x)
    x = _stack(layers, x, width, width, 1, "stack1")
    x = _stack(layers, x, width, 2 * width, 2, "stack2")
    x = _stack(layers, x, 2 * width, 4 * width, 2, "stack3", last=True)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.dense(classes, "dense")(x))


def _stack(layers: KerasLayers, x: Any, inputs: int, outputs: int, stride: int, name: str, last: bool = False) -> Any:
    """Add two 3x3 convolutions with a shortcut: the identity, or a strided 1x1 convolution with bias."""
    keras = runtime().keras
    branch = layers.conv(outputs, 3, f"{name}_conv1", stride=stride, padding=1)(x)
    branch = layers.relu(f"{name}_act1")(_norm(layers, f"{name}_bn1", branch))
    branch = _norm(layers, f"{name}_bn2", layers.conv(outputs, 3, f"{name}_conv2", padding=1)(branch))
    shortcut = x
    if stride != 1 or inputs != outputs:
        shortcut = layers.conv(outputs, 1, f"{name}_shortcut", stride=stride, padding=0, bias=True)(x)
    res = layers.residual(f"{name}_res")
    x = keras.layers.Add(name=f"{name}_add")([res(branch), res(shortcut)])
    return layers.relu(f"{name}_act2", last=last)(x)


def _norm(layers: KerasLayers, name: str, x: Any) -> Any:
    """Normalise as torch does by default, so that statistics of a torch network mean the same."""
    return layers.batch_norm(name, momentum=0.9, epsilon=1e-5)(x)
