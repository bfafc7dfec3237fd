"""Stack several small networks of one architecture: their layers side by side, as one network.

A step of the stack takes about as many operations as a step of one network, which is what a device
that one small network leaves idle waits for. Every network computes in it what it would alone: its
convolutions are groups of the stack's, and all else that is done to a channel (normalisation,
activation, pooling, pixel shuffle) is done to it alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from privynet_opt.networks.training import part_of

Network = TypeVar("Network", bound=nn.Module)


class Stack(Generic[Network]):
    """Networks that differ in the channels they see, and with them in the first convolution.

    Each is built as it would be alone. Those that see fewer channels than the widest are given
    zeros in their stead, whose weights are zero and stay so.

    Args:
        make: Builds the network of so many input channels, from convolutions, batch
            normalisations, linear layers, dropout and what treats each channel alone.
        kept: Channel indices of the features that each network sees.
        seed: Seed of the initial weights of each, and of its dropout.
        device: Where they are trained.

    Attributes:
        whole: The stack as one network, from `side_by_side` features to the outputs of all
            networks, side by side along axis 1. A single network is its own stack.
        generators: What the dropout of each stacked network draws from.
    """

    def __init__(
        self,
        make: Callable[[int], Network],
        kept: Sequence[Sequence[int]],
        seed: int,
        device: torch.device,
    ) -> None:
        self._networks: list[Network] = []
        self.generators: list[torch.Generator] = []
        for channels in kept:
            torch.manual_seed(seed)
            network = make(len(channels)).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._networks.append(network)
            self.generators.append(torch.Generator(device).manual_seed(seed))
            if device.type == "cpu":  # where initial weights are drawn: dropout goes on from there
                self.generators[-1].set_state(torch.get_rng_state())
        whole = self._networks[0] if len(kept) == 1 else _stacked(self._networks, self.generators)
        self.whole: nn.Module = whole.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        widest = max(map(len, kept))
        seen = [[*channels] + [-1] * (widest - len(channels)) for channels in kept]
        index = torch.tensor(seen, device=device).flatten()
        self._is_first_channels = seen == [[*range(widest)]]
        self._channels, self._unseen = index.clamp_min(0), (index < 0)[:, None, None]

    def __len__(self) -> int:
        return len(self._networks)

    def side_by_side(self, features: Tensor) -> Tensor:
        """Return what each network sees of a batch.

        Args:
            features: Of all channels, shape ``(n, C, h, w)``.

        Returns:
            Shape ``(n, len(self) * k, h, w)`` where the widest network sees ``k`` channels.
        """
        if self._is_first_channels and len(self._channels) == features.shape[1]:
            return features  # one network that sees all: nothing to gather at each step
        return features[:, self._channels].masked_fill(self._unseen, 0)

    def joined(self, views: Sequence[Tensor]) -> Tensor:
        """Return side by side what each network sees, where it is no choice of the same features.

        Args:
            views: One for each network, shape ``(n, its channels, h, w)``.

        Returns:
            As `side_by_side`.
        """
        widest = len(self._channels) // len(self)
        padded = [functional.pad(v, (0, 0, 0, 0, 0, widest - v.shape[1])) for v in views]
        return torch.cat(padded, 1)

    def networks(self) -> list[Network]:
        """Return the networks, each with what it has learned in the stack, in evaluation mode."""
        if len(self) > 1:
            learned = self.whole.state_dict()
            for index, network in enumerate(self._networks):
                for name, own in network.state_dict().items():
                    own.copy_(part_of(learned[name], len(self), index)[_corner(own)])
        return [network.eval() for network in self._networks]


def _stacked(layers: Sequence[nn.Module], generators: Sequence[torch.Generator]) -> nn.Module:
    """Return layers side by side; what they know is joined along the first axis."""
    first = layers[0]
    if isinstance(first, nn.Dropout):
        return _StackedDropout(first.p, generators)
    joined = copy.deepcopy(first)
    for name, _ in first.named_children():
        setattr(joined, name, _stacked([getattr(layer, name) for layer in layers], generators))
    for name, _ in first.named_parameters(recurse=False):
        setattr(joined, name, nn.Parameter(_joined([getattr(layer, name) for layer in layers])))
    for name, _ in first.named_buffers(recurse=False):
        setattr(joined, name, _joined([getattr(layer, name) for layer in layers]))
    if isinstance(joined, nn.Conv2d):
        joined.groups = len(layers)
    return _StackedLinear(joined, len(layers)) if isinstance(joined, nn.Linear) else joined


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """Join tensors along the first axis, with zeros where one is smaller than the largest."""
    if not tensors[0].dim():
        return tensors[0].clone()
    shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    padded = tensors[0].new_zeros(len(tensors), *shape)
    for place, tensor in zip(padded, tensors, strict=True):
        place[_corner(tensor)] = tensor.detach()
    return padded.flatten(0, 1)


def _corner(tensor: Tensor) -> tuple[slice, ...]:
    """Return where a tensor lies in a larger one that it was padded to."""
    return tuple(map(slice, tensor.shape))


class _StackedLinear(nn.Module):
    """Linear layers side by side: a grouped convolution of a single cell."""

    def __init__(self, joined: nn.Linear, n_stacked: int) -> None:
        super().__init__()
        self.weight, self.bias = joined.weight, joined.bias
        self.n_stacked = n_stacked

    def forward(self, x: Tensor) -> Tensor:
        cells, weight = x[:, :, None, None], self.weight[:, :, None, None]
        return functional.conv2d(cells, weight, self.bias, groups=self.n_stacked).flatten(1)


class _StackedDropout(nn.Module):
    """Dropout of networks side by side, each with the draws it would have made alone."""

    def __init__(self, p: float, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.p = p
        self.generators = generators

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        kept = [
            torch.empty_like(own).bernoulli_(1 - self.p, generator=generator)
            for own, generator in zip(
                x.chunk(len(self.generators), 1), self.generators, strict=True
            )
        ]
        return x * (torch.cat(kept, 1) / (1 - self.p))
