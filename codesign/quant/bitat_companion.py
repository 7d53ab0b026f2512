"""BiTAT's schedule beside a training: which layer is binary in which directions when; see `bitat`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign.errors import UserError
from codesign.quant.bitat_transform import PenaltyFunction, correlation_blocks, directions
from codesign.quant.sign import magnitude

if TYPE_CHECKING:
    from codesign.quant.bitat import BitatWeightQuant


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
