"""Count what a local network costs, on the built network, once per cut.

Multiply-adds come from torch's own counter, memory from watching every tensor that the forward
pass allocates. Both are affine in the number of kept filters, so counting at one filter and at
all of them gives the exact count in between (`privynet_opt.cost`).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from privynet_opt.cost import CutProfile
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import Cut
from privynet_opt.networks.local import build_local_network


class LiveTensors(TorchDispatchMode):
    """Record, after every operation, how many bytes of tensors are alive.

    Storages count once however many views they have; a storage leaves when its last tensor does.

    Args:
        held: What is alive before the first operation.
        weights: Tensors that do not count, nor any view of them.

    Attributes:
        bytes_after: One number per dispatched operation.
    """

    def __init__(self, held: Tensor, weights: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights = {tensor.untyped_storage()._cdata for tensor in weights}
        self.live: dict[int, int] = {}
        self.bytes_after: list[int] = []
        self._watch(held)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and record what is alive after it."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._watch(tensor)
        self.bytes_after.append(sum(self.live.values()))
        return result

    def _watch(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.live and key not in self.weights:
            self.live[key] = storage.nbytes()
            weakref.finalize(storage, self.live.pop, key, None)


def measure_macs(network: nn.Module, image_size: int) -> int:
    """Count the multiply-adds of one image.

    Args:
        network: A local network.
        image_size: Rows and columns of the image.

    Returns:
        Multiply-adds of convolutions and matrix products; other operations count nothing.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, image_size, image_size))
    return int(counter.get_total_flops()) // 2


def measure_live_bytes(network: nn.Module, image_size: int) -> list[int]:
    """Watch the forward pass of one image.

    Args:
        network: A local network.
        image_size: Rows and columns of the image.

    Returns:
        Bytes alive after each operation: the input, which the caller holds, and every
        activation not yet released. Parameters do not count.
    """
    image = torch.zeros(1, 3, image_size, image_size)
    watcher = LiveTensors(image, network.state_dict().values())
    with torch.no_grad(), watcher:
        network(image)
    return watcher.bytes_after


def state_bytes(network: nn.Module) -> int:
    """Return the bytes of all floating-point parameters and buffers of a network.

    Args:
        network: A local network.

    Returns:
        Bytes; step counters and channel indices are no weights and do not count.
    """
    tensors = network.state_dict().values()
    return sum(t.numel() * t.element_size() for t in tensors if t.is_floating_point())


def whole_costs(backbone: Backbone, image_size: int) -> dict[str, int]:
    """Count what the whole network would cost, to compare local networks with.

    Args:
        backbone: The pre-trained network.
        image_size: Rows and columns of the image.

    Returns:
        ``local_flops`` and ``memory_bytes``, as of a local network: two FLOPs per multiply-add,
        weights and the peak of live tensors. Empty where images are too small for the network,
        of which only a part is deployed.
    """
    network = backbone.network
    try:
        peak, macs = max(measure_live_bytes(network, image_size)), measure_macs(network, image_size)
    except RuntimeError:
        return {}
    return {"local_flops": 2 * macs, "memory_bytes": state_bytes(network) + peak}


def profile_cut(backbone: Backbone, cut: Cut, image_size: int) -> CutProfile:
    """Count the costs of a cut as a function of its kept filters.

    Args:
        backbone: The pre-trained network.
        cut: One of its cuts.
        image_size: Rows and columns of the image.

    Returns:
        The exact profile.
    """
    counts = (1, 2) if cut.channels < 3 else (1, cut.channels - 1)
    networks = [build_local_network(backbone, cut, range(count)) for count in counts]
    macs, parameters = (
        _line(counts, [count(n) for n in networks])
        for count in (lambda n: measure_macs(n, image_size), state_bytes)
    )
    moments = [measure_live_bytes(network, image_size) for network in networks]
    lines = {_line(counts, pair) for pair in zip(*moments, strict=True)}
    return CutProfile(
        name=cut.name,
        kind=cut.kind,
        node=cut.node,
        depth=cut.depth,
        channels=cut.channels,
        height=cut.height,
        width=cut.width,
        macs=macs,
        parameters=parameters,
        peak=_upper_lines(lines, cut.channels),
    )


def _line(counts: Sequence[int], values: Sequence[int]) -> tuple[int, int]:
    slope, remainder = divmod(values[1] - values[0], counts[1] - counts[0])
    assert remainder == 0, "costs are affine in the number of kept filters"
    return values[0] - slope * counts[0], slope


def _upper_lines(lines: set[tuple[int, int]], channels: int) -> tuple[tuple[int, int], ...]:
    def ends(line: tuple[int, int]) -> tuple[int, int]:
        return line[0] + line[1], line[0] + line[1] * channels

    def below(line: tuple[int, int], other: tuple[int, int]) -> bool:
        return all(a <= b for a, b in zip(ends(line), ends(other), strict=True))

    return tuple(sorted(a for a in lines if not any(below(a, b) and a != b for b in lines)))
