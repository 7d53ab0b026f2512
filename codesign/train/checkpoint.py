"""Checkpoints in the safetensors format: network weights, and the whole state of a training. No pickle."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from codesign.errors import UserError
from codesign.files import atomic_write

KEY = "codesign"


def write(path: Path, tensors: dict[str, torch.Tensor], about: dict[str, Any] | None = None) -> None:
    """Write `tensors` and the JSON object `about`, whole or not at all."""
    # Brevitas shares some parameters between modules and keeps 0-d views: store plain copies.
    plain = {name: t.detach().contiguous().clone() for name, t in tensors.items()}
    metadata = {KEY: msgspec.json.encode(about).decode()} if about is not None else None
    atomic_write(path, save(plain, metadata))


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors and the JSON object of a checkpoint.

    Raises
    ------
    UserError
        When the file is missing, truncated or no safetensors file.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}; train the model first.")
    try:
        with safe_open(path, framework="pt") as file:
            about = msgspec.json.decode((file.metadata() or {}).get(KEY, "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, msgspec.DecodeError) as error:
        raise UserError(f"the checkpoint {path} is damaged ({error}); restore it or train the model again.") from None


def load_weights(module: nn.Module, path: Path, partial: bool = False, steps: bool = True) -> None:
    """Load the weights of `path` into `module`.

    Parameters
    ----------
    module : nn.Module
        Changed in place.
    path : Path
        A safetensors file; half-precision tensors are widened.
    partial : bool
        Accept a file without the steps of quantizers (a float model's) and a file that has more.
    steps : bool
        Load the steps of quantizers too; those of another width or method would be a bad start.

    Raises
    ------
    UserError
        When the file is unreadable, or its names or shapes are not those of the network.
    """
    tensors, _ = read(path)
    if not steps:
        tensors = {name: t for name, t in tensors.items() if not is_quantizer(name)}
    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors and not (partial and is_quantizer(name))]
    extra = [] if partial else [name for name in tensors if name not in expected]
    if missing or extra:
        what = f"it lacks {missing[0]}" if missing else f"it has {extra[0]}, which the network has not"
        raise UserError(f"the checkpoint {path} is of another network: {what}; train the model again.")
    for name, tensor in tensors.items():
        if name in expected and tensor.shape != expected[name].shape:
            raise UserError(
                f"the checkpoint {path} is of another network: {name} has shape {tuple(tensor.shape)}, "
                f"the network needs {tuple(expected[name].shape)}; train the model again."
            )
    chosen = {name: t.to(expected[name].dtype) for name, t in tensors.items() if name in expected}
    module.load_state_dict(chosen, strict=False)


def is_quantizer(name: str) -> bool:
    """Tell whether a tensor of a network's state belongs to a quantizer."""
    return "_quant" in name


def is_step(name: str) -> bool:
    """Tell whether it is what a quantizer scales by: no weight of a network within it, no shift before it."""
    return is_quantizer(name.rpartition(".adapter.")[2]) and ".shift_quant." not in name


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
