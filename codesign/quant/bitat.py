"""BiTAT: binary weights, binarised bottom-up and direction by direction, in the order of importance.

The paper's text was not at hand: this is a reconstruction from its abstract, and no number of the paper
is claimed. Activations are those of `react`; trained weights are those of `sign`, alpha_o * sign(w). What
is different is the way there.

Let X hold the inputs of a layer as its kernel sees them, one column each (im2col), produced by the layers
below, which are binary already. The batch norm or bias behind the layer takes up any constant, so X is
taken without its mean. With C = X X^T / N = V^T diag(s^2) V, V orthonormal, the error that binary weights
B make in the outputs is

    tr((W - B) C (W - B)^T) = sum_j s_j^2 * |w~_j - b~_j|^2,   w~ = W V^T, b~ = B V^T,

so s_j^2 is the importance of direction j, and the input correlations enter. C is kept in blocks along its
diagonal (`block` input dimensions each), V likewise.

Layer by layer from the bottom, in equal turns that together fill the share `progressive` of the schedule:
when the turn of a layer begins, C is measured on the current batch; then a growing part S of the
directions, the least important first, becomes binary, W - ((W - B) V_S^T) V_S, while the others stay real
and make up for the error. At the end of its turn the layer is binary, and the next one begins. After the
last turn everything is binary and the rest of the schedule fine-tunes. The loss has in addition

    penalty * sum_l tr((W_l - B_l) C_l (W_l - B_l)^T) / tr(W_l C_l W_l^T)

over the layers whose turn has begun; being relative, a term lies between 0 and about 1 whatever the size of
a layer. B and the denominator are constants for the gradient.

In hardware nothing of this is left: V and C exist during the training only.

The package's training loop does all this by itself. A loop of one's own makes `acting = companion(network)`,
calls `acting.before_step(progress, x)` before each step with the share of the schedule that is done, and adds
`acting.penalty()` to the loss unless it is None.

References
----------
Park, Yoon, Yang and Hwang, BiTAT: neural network binarization with task-dependent aggregated
transformation, arXiv 2207.01394.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import torch
import torch.nn.functional as F
from brevitas.inject import ExtendedInjector
from torch import Tensor, nn

from codesign.errors import UserError
from codesign.quant import react
from codesign.quant.sign import (
    BinaryWeightQuant,
    SignWeightPerChannel,
    binarize,
    magnitude,
    require_one_bit,
)

Correlation = Literal["inputs", "identity"]
Share = Annotated[float, msgspec.Meta(gt=0, le=0.9)]


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


class BitatWeightQuant(BinaryWeightQuant):
    """Binary weights that a companion may hold real, or real in some directions, during a training.

    What the companion sets is no state: in a network that is loaded or not trained, the weights are binary.

    Parameters
    ----------
    per_channel : bool
        One scale for each output channel, else one in all.
    correlation, block, penalty, progressive
        What the companion is to do; see `weight`.
    """

    def __init__(
        self, per_channel: bool, correlation: Correlation, block: int, penalty: float, progressive: float
    ) -> None:
        super().__init__(per_channel)
        self.correlation, self.block = correlation, block
        self.penalty, self.progressive = penalty, progressive
        self.real = False
        self.projection: Tensor | None = None

    def release(self) -> None:
        """Make the weights binary."""
        self.real, self.projection = False, None

    def binary(self, w: Tensor, scale: Tensor) -> Tensor:
        """Return the weights that the layer uses at this point of a training."""
        if self.real:
            return w
        if self.projection is None:
            return binarize(w, scale)
        return PartlyBinaryFunction.apply(w, scale, self.projection)


class Layer:
    """One layer of a network in a BiTAT training.

    Parameters
    ----------
    name : str
        Path of the layer.
    module : nn.Module
        A Brevitas convolution or dense layer.
    quantizer : BitatWeightQuant
        Its weight quantizer.
    """

    def __init__(self, name: str, module: nn.Module, quantizer: BitatWeightQuant) -> None:
        self.name, self.module, self.quantizer = name, module, quantizer
        self.dimensions = self.weight[0].numel()
        self.correlation: Tensor | None = None

    @property
    def weight(self) -> Tensor:
        """Latent weights; asked for each time, because Brevitas makes new parameters when it loads some."""
        return self.module.weight  # type: ignore[return-value]

    def begin(self, correlation: Tensor) -> None:
        """Begin the layer's turn, or take it up again, with the correlation of its inputs."""
        self.correlation = correlation
        self.transform, importance = directions(correlation, self.dimensions)
        order = importance.flatten().argsort(stable=True)
        self.order = order[importance.flatten()[order] >= 0]
        self.count = -1

    def set_fraction(self, fraction: float) -> None:
        """Make the least important directions binary, `fraction` of them, 0 to 1."""
        quantizer, count = self.quantizer, round(min(max(fraction, 0.0), 1.0) * self.dimensions)
        if count == self.dimensions:
            quantizer.release()
        elif count == 0:
            quantizer.real, quantizer.projection = True, None
        elif count != self.count:
            chosen = torch.zeros(self.transform.shape[:2]).flatten()
            chosen[self.order[:count]] = 1
            kept = self.transform * chosen.view(*self.transform.shape[:2], 1)
            quantizer.real, quantizer.projection = False, torch.bmm(kept.transpose(1, 2), kept)
        self.count = count

    @torch.no_grad()
    def measure(self, network: nn.Module, x: Tensor) -> Tensor:
        """Return the correlation blocks of the layer's inputs when the network reads `x`."""
        seen: list[Tensor] = []
        hook = self.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        training = network.training
        try:
            # In evaluation, so that the pass leaves no trace in the statistics of batch norms.
            network.eval()
            network(x)
        finally:
            hook.remove()
            network.train(training)
        if not seen:
            raise UserError(f"layer '{self.name}' has BiTAT weights, but the network does not call it; remove it.")
        columns = self._columns(seen[0] if isinstance(seen[0], Tensor) else seen[0][0])
        return correlation_blocks(columns.float(), self.quantizer.block)

    def _columns(self, x: Tensor) -> Tensor:
        """Return the layer's inputs as its kernel sees them, (batch, dimensions, positions)."""
        module: Any = self.module
        if self.weight.ndim == 2:
            return x.reshape(-1, self.dimensions).unsqueeze(2)
        columns = F.unfold(x, module.kernel_size, module.dilation, module.padding, module.stride)
        # The groups of a grouped convolution share one C: they are further samples of it.
        return columns.view(len(x) * module.groups, self.dimensions, -1)


class Bitat:
    """The companion: schedule, transforms and penalty; see the top of this file.

    Parameters
    ----------
    network : nn.Module
        Holds the layers.
    layers : list of Layer
        From the bottom to the top, at least one.
    """

    def __init__(self, network: nn.Module, layers: list[Layer]) -> None:
        self.network, self.layers = network, layers
        first = layers[0].quantizer
        self.kind, self.block = first.correlation, first.block
        self.weight, self.progressive = first.penalty, first.progressive

    def before_step(self, progress: float, batch: Tensor) -> None:
        """Set the binary part of every layer for `progress`; measure C where a turn begins."""
        position = progress / self.progressive * len(self.layers)
        for index, layer in enumerate(self.layers):
            if position < index:
                layer.quantizer.real, layer.quantizer.projection = True, None
        for index, layer in enumerate(self.layers):
            if position < index:
                continue
            if layer.correlation is None:
                layer.begin(self._identity(layer) if self.kind == "identity" else layer.measure(self.network, batch))
            layer.set_fraction(position - index)

    def _identity(self, layer: Layer) -> Tensor:
        groups = -(-layer.dimensions // self.block)
        return torch.eye(self.block).repeat(groups, 1, 1)

    def penalty(self) -> Tensor | None:
        """Return the weighted sum of relative errors of the layers whose turn has begun."""
        begun = [layer for layer in self.layers if layer.correlation is not None]
        if not begun or self.weight == 0:
            return None
        terms = [
            PenaltyFunction.apply(layer.weight, magnitude(layer.weight, layer.quantizer.per_channel), layer.correlation)
            for layer in begun
        ]
        return self.weight * torch.stack(terms).sum()

    def finish(self) -> None:
        """Make every layer binary."""
        for layer in self.layers:
            layer.quantizer.release()

    def tensors(self) -> dict[str, Tensor]:
        """Return the correlations measured so far, by layer; all else follows from them and the progress."""
        return {layer.name: layer.correlation for layer in self.layers if layer.correlation is not None}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back the correlations."""
        for layer in self.layers:
            if layer.name in tensors:
                layer.begin(tensors[layer.name].clone())


class BitatWeightPerChannel(SignWeightPerChannel):
    """Binary weights, one scale per output channel, for a training with `companion`; defaults as in `weight`."""

    tensor_quant = BitatWeightQuant  # type: ignore[assignment]
    correlation = "inputs"
    block = 64
    penalty = 0.03
    progressive = 0.4


class BitatWeightPerTensor(BitatWeightPerChannel):
    """Binary weights with one scale, for a training with `companion`."""

    per_channel = False


def weight(
    bits: int,
    per_channel: bool,
    *,
    correlation: Correlation = "inputs",
    block: Annotated[int, msgspec.Meta(ge=1, le=256)] = 64,
    penalty: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.03,
    progressive: Share = 0.4,
) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method.

    Parameters
    ----------
    bits : int
        1.
    per_channel : bool
        One scale for each output channel, else one in all.
    correlation : {"inputs", "identity"}
        Measure C, or take C = I for comparison.
    block : int
        Input dimensions of a block of C; 16 to 64 are sensible.
    penalty : float
        Weight of the error term of the loss.
    progressive : float
        Share of the schedule in which the layers become binary; the rest fine-tunes.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "bitat")
    chosen = BitatWeightPerChannel if per_channel else BitatWeightPerTensor
    return chosen.let(correlation=correlation, block=block, penalty=penalty, progressive=progressive)


def relu(channels: int, bits: int) -> nn.Module:
    """Return the binary activation, that of `react`."""
    require_one_bit(bits, "bitat")
    return react.relu(channels, bits)


def companion(module: nn.Module) -> Bitat | None:
    """Return the companion of a network, None when it has no weights of this method.

    Parameters
    ----------
    module : nn.Module
        Its layers are taken from the bottom to the top in the order in which they were registered.

    Raises
    ------
    UserError
        When such weights are those of a layer whose inputs cannot be cut into columns.
    """
    layers = []
    for name, part in module.named_modules():
        proxy = getattr(part, "weight_quant", None)
        quantizer = getattr(proxy, "tensor_quant", None)
        if isinstance(quantizer, BitatWeightQuant):
            _require_columns(part, name)
            layers.append(Layer(name, part, quantizer))
    return Bitat(module, layers) if layers else None


def _require_columns(layer: Any, name: str) -> None:
    """Raise `UserError` for a layer whose inputs `torch.nn.functional.unfold` does not give."""
    if isinstance(layer, nn.Linear):
        return
    if not isinstance(layer, nn.Conv2d):
        raise UserError(
            f"layer '{name}' is a {type(layer).__name__}; BiTAT has weights for QuantConv2d and QuantLinear."
        )
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        raise UserError(f"layer '{name}' needs padding in numbers and of zeros for BiTAT weights, such as padding=1.")
