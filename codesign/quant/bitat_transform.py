"""The linear algebra of BiTAT: correlation of inputs, directions, weights that are binary in some; see `bitat`."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class PartlyBinaryFunction(torch.autograd.Function):
    """w - ((w - B) V_S^T) V_S, where B = scale * sign(w) and P = V_S^T V_S projects on the binary directions.

    B's derivative by w is 1 inside (-1, 1) and 0 outside, so that the gradient passes unchanged where w is
    inside; outside, it loses its part in the binary directions.
    """

    @staticmethod
    def forward(ctx: Any, w: Tensor, scale: Tensor, projection: Tensor) -> Tensor:
        """Binarise `w` in some directions; `projection` (groups, block, block)."""
        ctx.save_for_backward(w, projection)
        return w - project(w - torch.where(w >= 0, scale, -scale), projection)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of `w`."""
        (gradient,), (w, projection) = gradients, ctx.saved_tensors
        outside = w.abs() >= 1
        if not bool(outside.any()):
            return gradient, None, None
        lost = project(gradient, projection)
        # Through w: (I - P) of the gradient; through B: the P part, where w is inside.
        return gradient - torch.where(outside, lost, torch.zeros_like(lost)), None, None


class PenaltyFunction(torch.autograd.Function):
    """tr(E C E^T) / tr(W C W^T) with E = W - B; its gradient is 2 E C / tr(W C W^T)."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, scale: Tensor, correlation: Tensor) -> Tensor:
        """Return the scalar; `correlation` (groups, block, block)."""
        rows = grouped(w, correlation)
        size = scale.reshape(-1, 1)
        # w - size * sign(w), where sign(0) = +1.
        error = rows - grouped(torch.where(w >= 0, 1.0, -1.0), correlation) * size
        spread = torch.bmm(error, correlation)
        whole = (rows * torch.bmm(rows, correlation)).sum().clamp_min(torch.finfo(w.dtype).tiny)
        ctx.save_for_backward(spread, whole)
        ctx.shape = w.shape
        return (error * spread).sum() / whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of `w`."""
        spread, whole = ctx.saved_tensors
        return ungrouped(spread, ctx.shape) * (2 * gradients[0] / whole), None, None


def grouped(w: Tensor, blocks: Tensor) -> Tensor:
    """Return weights (outputs, ...) as (groups, outputs, block): an output's row, `flatten(1)`, cut into blocks.

    The last block is filled up with zeros where it reaches beyond the row.
    """
    rows = w.flatten(1)
    groups, block, _ = blocks.shape
    if groups * block > rows.shape[1]:
        rows = F.pad(rows, (0, groups * block - rows.shape[1]))
    return rows.view(len(rows), groups, block).transpose(0, 1)


def ungrouped(parts: Tensor, shape: torch.Size) -> Tensor:
    """Undo `grouped`: (groups, outputs, block) to weights of `shape`."""
    rows = parts.transpose(0, 1).reshape(shape[0], -1)
    return rows[:, : shape[1:].numel()].reshape(shape)


def project(w: Tensor, blocks: Tensor) -> Tensor:
    """Multiply weights with a symmetric block-diagonal matrix.

    Parameters
    ----------
    w : Tensor
        (outputs, ...); an output's weights in the order of `flatten(1)` are one row.
    blocks : Tensor
        (groups, block, block), symmetric; the last block may reach beyond the row, where it counts for nothing.

    Returns
    -------
    Tensor
        Of the shape of `w`.
    """
    return ungrouped(torch.bmm(grouped(w, blocks), blocks.to(w.dtype)), w.shape)


def correlation_blocks(columns: Tensor, block: int) -> Tensor:
    """Return the diagonal blocks of X X^T / N, X without its mean.

    Parameters
    ----------
    columns : Tensor
        (batch, dimensions, positions), as `torch.nn.functional.unfold` gives it.
    block : int
        Dimensions of a block.

    Returns
    -------
    Tensor
        (groups, block, block) float32, symmetric; zero where the last block reaches beyond the dimensions.
    """
    dimensions = columns.shape[1]
    groups = -(-dimensions // block)
    x = F.pad(columns.transpose(0, 1).reshape(dimensions, -1), (0, 0, 0, groups * block - dimensions))
    x = x - x.mean(1, keepdim=True)
    x = x.view(groups, block, -1)
    c = torch.bmm(x, x.transpose(1, 2)) / x.shape[2]
    return (c + c.transpose(1, 2)) / 2


def directions(correlation: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Return the orthonormal transform and the importance of its directions.

    Parameters
    ----------
    correlation : Tensor
        (groups, block, block), symmetric.
    dimensions : int
        How many dimensions there are in all; the last block may be larger than what is left for it.

    Returns
    -------
    transform : Tensor
        (groups, block, block) float32; rows are directions, zero beyond the dimensions.
    importance : Tensor
        (groups, block) float32, s_j^2; -1 beyond the dimensions.
    """
    block = correlation.shape[1]
    transform = torch.zeros_like(correlation, dtype=torch.float32)
    importance = torch.full(correlation.shape[:2], -1.0)
    for group, matrix in enumerate(correlation):
        size = min(block, dimensions - group * block)
        part = matrix[:size, :size].double()
        if torch.equal(part, torch.eye(size, dtype=part.dtype)):
            values, vectors = torch.ones(size, dtype=part.dtype), part
        else:
            values, vectors = torch.linalg.eigh(part)
        transform[group, :size, :size] = vectors.T.float()
        importance[group, :size] = values.clamp_min(0).float()
    return transform, importance
