"""The two optimisers of the training loop: AdamW, and Muon for the weights of convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WEIGHT_DECAY = 0.01
"""AdamW's default (Loshchilov & Hutter, ICLR 2019); Muon's is in proportion to its steps."""

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of Muon's quintic iteration (Jordan 2024, kellerjordan.github.io/posts/muon)."""

NEWTON_SCHULZ_STEPS = 4
"""Muon's author takes 5; a decoder of conv5 was tuned as well with 3 as with 4."""


@dataclass(frozen=True)
class MuonRecipe:
    """How fast Muon turns the weights of convolutions.

    Attributes:
        peak_learning_rate: Height of the one cycle: about the spectral norm of a step; where
            `relative`, its Frobenius norm as a share of that of the weights training starts from.
        momentum: Nesterov momentum, the same throughout.
        relative: Whether steps are in proportion to the weights, for networks that start trained.
    """

    peak_learning_rate: float
    momentum: float
    relative: bool = False


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised (Jordan 2024), for convolutions: output channels by all the rest.

    Torch's own takes nothing but matrices, and 1.5 times as long for 64 output channels.

    Args:
        weights: Of convolutions, shape ``(out, in, rows, columns)``.
        recipe: Speed.
    """

    def __init__(self, weights: Sequence[nn.Parameter], recipe: MuonRecipe) -> None:
        super().__init__(weights, {"lr": recipe.peak_learning_rate, "momentum": recipe.momentum})
        for weight in weights:
            rank = min(len(weight), weight[0].numel())
            reach = float(weight.detach().norm()) / math.sqrt(rank) if recipe.relative else 1.0
            self.state[weight] = {"reach": reach, "velocity": torch.zeros_like(weight)}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change the weights by their gradients.

        Args:
            closure: Not called.
        """
        (group,) = self.param_groups
        for weight in group["params"]:
            if weight.grad is None:
                continue
            velocity = self.state[weight]["velocity"]
            velocity.mul_(group["momentum"]).add_(weight.grad)
            update = orthogonalised(weight.grad + group["momentum"] * velocity)
            length = group["lr"] * self.state[weight]["reach"]
            weight.mul_(1 - length * WEIGHT_DECAY).sub_(update, alpha=length)


def make_optimizers(
    network: nn.Module, peak_learning_rate: float, muon: MuonRecipe | None
) -> list[torch.optim.Optimizer]:
    """Return the optimisers that share a network's parameters.

    Args:
        network: Its parameters are optimised.
        peak_learning_rate: Of AdamW.
        muon: Speed of convolution weights; None leaves them to AdamW, as all the rest.

    Returns:
        AdamW, and Muon if it is wanted; each at its peak learning rate.
    """
    parameters = list(network.parameters())
    weights = [parameter for parameter in parameters if muon and parameter.dim() == 4]
    others = [parameter for parameter in parameters if not (muon and parameter.dim() == 4)]
    adamw = torch.optim.AdamW(others, peak_learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
    return [adamw, Muon(weights, muon)] if muon else [adamw]


def orthogonalised(update: Tensor) -> Tensor:
    """Bring the singular values of an update near one, by Newton-Schulz steps.

    The steps multiply it by polynomials of its smaller Gram matrix, so that all but the first and
    the last product are of the size of that matrix.

    Args:
        update: Of a convolution, shape ``(out, in, rows, columns)``.

    Returns:
        The same shape; as a matrix of `out` rows its singular values are about 0.7 to 1.2, but for
        those that were below a two-hundredth of its Frobenius norm.
    """
    flat = update.flatten(1)
    is_tall = len(flat) > flat.shape[1]
    matrix = flat.T if is_tall else flat
    matrix = matrix / matrix.norm().clamp_min(torch.finfo(matrix.dtype).tiny)
    gram = matrix @ matrix.T
    turned = torch.eye(len(gram), device=gram.device)
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal().add_(a)
        turned = factor @ turned
        gram = factor @ gram @ factor
    product: Tensor = turned @ matrix
    return (product.T if is_tall else product).reshape(update.shape)
