"""Batches of training examples: order, augmentation, and the one conversion to torch tensors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

ORDER, AUGMENTATION = 1, 2


def to_tensor(x: np.ndarray, input_scale: float) -> torch.Tensor:
    """Turn integers as a sensor gives them into the float input of a network.

    Parameters
    ----------
    x : ndarray
        Images (N, H, W, C) or rows (N, F), any integer dtype.
    input_scale : float
        Value of one integer step, a power of two, so that the product is exact.

    Returns
    -------
    Tensor
        float32; images become (N, C, H, W) in channels-last memory order.
    """
    x = np.ascontiguousarray(x)
    # Torch warns about read-only memory.
    tensor = torch.from_numpy(x if x.flags.writeable else x.copy())
    if tensor.ndim == 4:
        tensor = tensor.permute(0, 3, 1, 2)
    return tensor.to(torch.float32) * input_scale


def channels_last(module: nn.Module) -> nn.Module:
    """Return `module` with its convolution weights in channels-last memory order, the faster one."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


class Augmentation:
    """Random crops and mirror images, drawn for the whole training set at once.

    What happens to an example depends on `seed`, `cycle` and its index alone, neither on the order
    nor on the batch, so that a teacher's answers can be kept per example.

    Parameters
    ----------
    x : ndarray
        Images (N, H, W, C), or rows (N, F) that pass unchanged.
    crop_padding : int
        Zero padding before the crop.
    flip : bool
        Mirror half of the images.
    seed : int
        Seed of all cycles.
    """

    def __init__(self, x: np.ndarray, crop_padding: int, flip: bool, seed: int) -> None:
        self.identity = x.ndim != 4 or (crop_padding == 0 and not flip)
        self.seed, self.padding, self.flip = seed, crop_padding, flip
        self.x = x
        if not self.identity:
            self.height, self.width = x.shape[1:3]
            pad = ((0, 0), (crop_padding,) * 2, (crop_padding,) * 2, (0, 0))
            self.x = np.pad(x, pad) if crop_padding else x
        self.start(0)

    def start(self, cycle: int) -> None:
        """Draw the augmentation of cycle `cycle` for every example."""
        self.cycle = cycle
        if self.identity:
            return
        rng = np.random.default_rng([self.seed, cycle, AUGMENTATION])
        count = len(self.x)
        self.top = rng.integers(0, 2 * self.padding + 1, count)
        self.left = rng.integers(0, 2 * self.padding + 1, count)
        self.mirror = rng.integers(0, 2, count).astype(bool) & self.flip

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the augmented examples `index`, of the dtype and shape of the originals."""
        if self.identity:
            return self.x[index]
        rows = self.top[index, None] + np.arange(self.height)
        columns = np.arange(self.width)
        columns = np.where(self.mirror[index, None], columns[::-1], columns) + self.left[index, None]
        return self.x[index[:, None, None], rows[:, :, None], columns[:, None, :]]


def batches(members: np.ndarray, batch: int, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """Yield shuffled index batches of one epoch; what is left over after whole batches is dropped.

    A set smaller than one batch is one batch.
    """
    order = np.random.default_rng([seed, epoch, ORDER]).permutation(members)
    batch = min(batch, len(order))
    for start in range(0, len(order) - batch + 1, batch):
        yield order[start : start + batch]
