"""The one training loop: AdamW, one cycle, early stop on held-out images, best epoch kept."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

HELD_OUT_SHARE = 0.1
"""Share of the training images that only decide which epoch is kept and when to stop."""

WEIGHT_DECAY = 0.01
"""AdamW's default (Loshchilov & Hutter, ICLR 2019)."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How long and how fast a network is trained.

    Attributes:
        max_epochs: Length of the one cycle.
        patience: Epochs without a better held-out loss after which training stops.
        batch_size: Images per step.
        peak_learning_rate: Height of the one cycle (Smith & Topin, arXiv:1708.07120).
    """

    max_epochs: int
    patience: int
    batch_size: int = 64
    peak_learning_rate: float = 2e-3


Loss = Callable[[nn.Module, Tensor], Tensor]
"""Maps a network and the positions of some training images to the mean loss over them."""


def train(network: nn.Module, loss: Loss, n_images: int, recipe: TrainingRecipe, seed: int) -> int:
    """Train a network in place and leave it at its best epoch, in evaluation mode.

    Args:
        network: The network; its parameters are changed.
        loss: The loss of some of the images, by position.
        n_images: Number of images; the last `HELD_OUT_SHARE` of them are held out.
        recipe: Length and speed.
        seed: Seed of the order of images.

    Returns:
        Epochs trained.
    """
    generator = torch.Generator().manual_seed(seed)
    n_fit = n_images - max(1, int(HELD_OUT_SHARE * n_images))
    held_out = torch.arange(n_fit, n_images).split(4 * recipe.batch_size)
    steps = -(-n_fit // recipe.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.peak_learning_rate, total_steps=recipe.max_epochs * steps
    )
    best_loss, best_epoch, best_state = float("inf"), 0, copy.deepcopy(network.state_dict())
    epoch = 0
    while epoch < recipe.max_epochs and epoch - best_epoch < recipe.patience:
        epoch += 1
        network.train()
        for positions in torch.randperm(n_fit, generator=generator).split(recipe.batch_size):
            optimizer.zero_grad()
            loss(network, positions).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            losses = [float(loss(network, p)) * len(p) for p in held_out]
        mean_loss = sum(losses) / (n_images - n_fit)
        if mean_loss < best_loss:
            best_loss, best_epoch = mean_loss, epoch
            best_state = copy.deepcopy(network.state_dict())
    network.load_state_dict(best_state)
    network.eval()
    return epoch


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return the context in which networks are trained: bfloat16 where the hardware has it.

    Args:
        device: Where the network is.

    Returns:
        An autocast context; parameters and losses stay float32.
    """
    if device.type == "cpu":
        fast = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    else:
        fast = torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bool(fast))
