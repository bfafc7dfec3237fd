"""A decoder that serves every subset, made into an equal one for a single subset.

For one subset the condition is constant and, in evaluation mode, so is every batch normalisation:
both are folded into the convolutions. What is left is shorter to train, and is not disturbed by
the statistics of small batches.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from privynet_opt.attacks.decoder import Decoder
from privynet_opt.networks.layers import ResidualBlock


@torch.no_grad()
def fold(decoder: Decoder, conditions: Tensor) -> Decoder:
    """Fold batch normalisations and conditions of a decoder into its convolutions.

    Args:
        decoder: In evaluation mode, with conditions; it is left as it is.
        conditions: Of the one topology, shape ``(n_conditions,)``.

    Returns:
        A decoder without either, which recovers the same but for rounding.
    """
    own = copy.deepcopy(decoder)
    assert own.condition is not None
    entering = next(layer for layer in own.enter if isinstance(layer, nn.Conv2d))
    assert entering.bias is not None
    condition: Tensor = own.condition(conditions[None])[0]
    spread = entering.out_channels // len(condition)  # by a pixel shuffle, of one number to several
    entering.bias += condition.repeat_interleave(spread)
    own.condition = None
    _absorb(entering, own.body, 0, spread)
    for block in own.body:
        if isinstance(block, ResidualBlock):
            for index, layer in enumerate(block.body):
                if isinstance(layer, nn.Conv2d):
                    _absorb(layer, block.body, index + 1)
    return own.requires_grad_()  # the new biases as well


def _absorb(conv: nn.Conv2d, layers: nn.Sequential, index: int, spread: int = 1) -> None:
    """Fold the batch normalisation at a place into the convolution whose output it normalises."""
    norm = layers[index]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance, scale, shift = (
        part.repeat_interleave(spread)
        for part in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, mean, variance, norm.eps, scale, shift
    )
    layers[index] = nn.Identity()
