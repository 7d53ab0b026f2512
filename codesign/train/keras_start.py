"""Starting a QKeras training from trained weights: a torch network of the same topology, or a QKeras one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.train import checkpoint
from codesign.train.keras_model import variables

# Names of torch's tensors to those of Keras; `weight` and `bias` depend on the layer.
_STATISTICS = {"running_mean": "moving_mean", "running_var": "moving_variance"}


def load(network: Any, path: Path, framework: str, steps: bool) -> None:
    """Set the variables of a Keras network to trained weights.

    Parameters
    ----------
    network : tf_keras.Model
        Changed in place.
    path : Path
        A safetensors file. Layers of a torch network are found by their names with `_` for dots.
    framework : {"brevitas", "qkeras"}
        Where the weights come from.
    steps : bool
        Take over the parameters of quantizers too, from a QKeras network.

    Raises
    ------
    UserError
        When the file is unreadable, or its names or shapes are not those of the network.
    """
    tensors, _ = checkpoint.read(path)
    found = {name: tensor.float().numpy() for name, tensor in tensors.items()}
    if framework != "qkeras":
        found = _from_torch(network, found)
    for name, variable in variables(network).items():
        if name in found:
            if tuple(variable.shape) != found[name].shape:
                raise UserError(
                    f"the checkpoint {path} is of another network: {name} has shape {found[name].shape}, "
                    f"the network needs {tuple(variable.shape)}; choose another recipe.init_from."
                )
            if steps or not checkpoint.is_quantizer(name):
                variable.assign(found[name])
        elif not checkpoint.is_quantizer(name):
            raise UserError(
                f"the checkpoint {path} is of another network: it lacks {name}; choose another recipe.init_from."
            )
    if not steps:
        _restart(network)


def _restart(network: Any) -> None:
    """Set the parameters of weight quantizers from the weights that are there now."""
    for layer in network.layers:
        kernel = getattr(layer, "depthwise_kernel", getattr(layer, "kernel", None))
        for quantizer in layer.get_quantizers() if hasattr(layer, "get_quantizers") else ():
            if kernel is not None and hasattr(quantizer, "initialise"):
                quantizer.initialise(kernel)


def _from_torch(network: Any, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return torch's tensors under the names and in the layouts of Keras."""
    found: dict[str, np.ndarray] = {}
    for layer in network.layers:
        kind, own = type(layer).__name__, layer.name
        for full, tensor in tensors.items():
            module, _, part = full.rpartition(".")
            if module.replace(".", "_") != own:
                continue
            name, value = _STATISTICS.get(part, part), tensor
            if kind == "BatchNormalization":
                name = {"weight": "gamma", "bias": "beta"}.get(part, name)
            elif part == "weight":
                name = "depthwise_kernel" if kind == "QDepthwiseConv2D" else "kernel"
                if kind == "QDense":
                    value = _channels_last(layer, tensor).T
                else:
                    # (out, in, kh, kw) to (kh, kw, in, out); of a depthwise kernel, (channels, 1, kh, kw), alike.
                    value = tensor.transpose(2, 3, 0, 1) if "depthwise" in name else tensor.transpose(2, 3, 1, 0)
            found[f"{own}/{name}"] = value
    return found


def _channels_last(layer: Any, weight: np.ndarray) -> np.ndarray:
    """Return a dense weight (out, in) whose inputs are in the order in which Keras flattens a frame."""
    before = layer.inbound_nodes[0].inbound_layers
    shape: tuple[int, ...] = before.input_shape[1:] if type(before).__name__ == "Flatten" else ()
    if len(shape) != 3 or np.prod(shape) != weight.shape[1]:
        return weight
    height, width, channels = shape
    frames = weight.reshape(len(weight), channels, height, width)
    return frames.transpose(0, 2, 3, 1).reshape(len(weight), -1)
