"""A few steps of training for one choice of widths, before its accuracy is told.

A supernet works at all widths and is best at none. Some batches with the widths of a candidate let its weights and
steps settle there, as the candidate's own training will; so candidates are told apart by what they can become rather
than by what the supernet happens to be good at. Statistics of batch norm are those of the last batches afterwards.

References
----------
Wang et al., HAQ, CVPR 2019 (arXiv 1811.08886): each candidate is trained for an epoch before it is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign.train import precision
from codesign.train.ema import overwrite
from codesign.train.evaluate import plain
from codesign.train.optimizer import make_optimizer
from codesign.train.recipe import Recipe

_RISE = 10
"""Batches that the learning rate rises: the momentum of the supernet's training is gone."""


@contextmanager
def fine_tuned(
    network: nn.Module, recipe: Recipe, steps: int, examples: Callable[[int], tuple[Tensor, Tensor]]
) -> Iterator[None]:
    """Train a network for some batches, and put its weights and statistics back in the end.

    Parameters
    ----------
    network : Module
        With the widths chosen; in evaluation mode, before and after.
    recipe : Recipe
        Its optimizer, precision and learning rate, which rises for ten batches and falls to zero along a line.
    steps : int
        Batches.
    examples : callable
        Returns the images and labels of a batch by its number. The same batches make the same weights.
    """
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    try:
        network.train()
        optimizer = make_optimizer(network, recipe)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(recipe.seed)
            for step in range(steps):
                rate = recipe.learning_rate * min(1.0, (step + 1) / _RISE) * (1 - step / steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["rate"]
                images, labels = examples(step)
                with precision.autocast(recipe.precision):
                    answers = plain(network(images))
                F.cross_entropy(answers.float(), labels).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        network.eval()
        yield
    finally:
        network.eval()
        with torch.no_grad():
            overwrite(network, before)
