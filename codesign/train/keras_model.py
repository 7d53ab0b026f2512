"""QKeras models of the zoo: built in code, weights from safetensors, evaluation in float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign import data
from codesign.errors import UserError
from codesign.train import checkpoint, keras_topologies
from codesign.train.keras_layers import KerasLayers

if TYPE_CHECKING:
    from codesign.zoo import Model


def fresh(model: Model) -> Any:
    """Return the Keras network of a zoo model with fresh weights."""
    dataset = data.info(model.dataset)
    seed = model.recipe.seed if model.recipe else 0
    try:
        layers = KerasLayers(model.widths, model.method, seed)
        return keras_topologies.build(
            model.topology, layers, dataset.shape, len(dataset.classes), model.topology_options
        )
    except UserError as error:
        raise UserError(f"{model.path}: {error}") from error


def trained(model: Model) -> Any:
    """Return the Keras network of a zoo model with its trained weights.

    Raises
    ------
    UserError
        When QKeras is not installed, or the checkpoint is missing, damaged or of another network.
    """
    network = fresh(model)
    load_weights(network, model.checkpoint_path)
    return network


def variables(network: Any) -> dict[str, Any]:
    """Return the variables of a network by layer and kind, such as "stem/kernel".

    Those of quantizers have the dots with which `codesign.quant.keras` names them, and for which Keras has "-".
    """
    return {
        f"{layer.name}/{variable.name.split('/')[-1].removesuffix(':0').replace('-', '.')}": variable
        for layer in network.layers
        for variable in layer.weights
    }


def save_weights(network: Any, path: Path) -> None:
    """Write the variables of a network, whole or not at all."""
    checkpoint.write(path, tensors(variables(network)))


def tensors(named: dict[str, Any]) -> dict[str, Any]:
    """Return torch copies of Keras variables, for `checkpoint.write`."""
    import torch

    return {name: torch.from_numpy(np.array(variable.numpy())) for name, variable in named.items()}


def load_weights(network: Any, path: Path) -> None:
    """Read the variables of a network from a safetensors file.

    Raises
    ------
    UserError
        When the file is unreadable, or its names or shapes are not those of the network.
    """
    found, _ = checkpoint.read(path)
    assign(variables(network), found, path)


def assign(named: dict[str, Any], found: dict[str, Any], path: Path) -> None:
    """Set Keras variables to the tensors of the same names, after checking names and shapes."""
    unknown = sorted(set(named) ^ set(found))
    if unknown:
        what = f"it lacks {unknown[0]}" if unknown[0] in named else f"it has {unknown[0]}, which the network has not"
        raise UserError(f"the checkpoint {path} is of another network: {what}; train the model again.")
    for name, variable in named.items():
        if tuple(variable.shape) != tuple(found[name].shape):
            raise UserError(
                f"the checkpoint {path} is of another network: {name} has shape {tuple(found[name].shape)}, "
                f"the network needs {tuple(variable.shape)}; train the model again."
            )
    for name, variable in named.items():
        variable.assign(found[name].numpy())


def real_input(x: np.ndarray, input_scale: float) -> np.ndarray:
    """Return the float32 input of a network for raw integers, exact as the scale is a power of two."""
    return x.astype(np.float32) * np.float32(input_scale)


def logits(network: Any, x: np.ndarray, input_scale: float, batch: int = 512) -> np.ndarray:
    """Return the outputs (N, classes) float32 of a network for integer inputs."""
    pieces = [
        np.asarray(network(real_input(x[start : start + batch], input_scale), training=False))
        for start in range(0, len(x), batch)
    ]
    return np.concatenate(pieces)


def accuracy(network: Any, x: np.ndarray, y: np.ndarray, input_scale: float) -> float:
    """Return the top-1 accuracy in percent."""
    return float((logits(network, x, input_scale).argmax(1) == y).mean() * 100)


def parameters(network: Any) -> int:
    """Count weights, biases and batch norm factors; steps of quantizers do not count."""
    return sum(
        int(np.prod(variable.shape))
        for name, variable in variables(network).items()
        if variable.trainable and not checkpoint.is_step(name)
    )


def macs(network: Any) -> int:
    """Count the multiply-accumulates of one input."""
    total = 0
    for layer in network.layers:
        kind = type(layer).__name__
        if kind == "QDense":
            total += int(np.prod(layer.kernel.shape))
        elif kind in ("QConv2D", "QDepthwiseConv2D"):
            kernel = layer.kernel if kind == "QConv2D" else layer.depthwise_kernel
            total += int(np.prod(layer.output_shape[1:3])) * int(np.prod(kernel.shape))
    return total
