"""What the device network really takes: time for one image, and memory at its fullest moment."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from privynet_opt.deploy.device_network import DeviceNetwork
from privynet_opt.deploy.network_file import Run
from privynet_opt.networks.profile import LiveTensors

SECONDS = 1.0
"""One image is timed again and again for about so long."""

LEAST_RUNS = 5
"""But so often at least."""


@dataclass(frozen=True)
class Runtime:
    """What one image takes on this machine.

    Attributes:
        milliseconds: Median time of one image, by what ran it: ``"pytorch"``, and the runtime of
            the exported file (`network_file.RUNTIMES`).
        threads: Threads that worked on it.
        tensor_bytes: Largest sum of the tensors alive at once, image included: what a runtime
            needs that computes in place and keeps no layout but its own.
        allocated_bytes: Largest sum of what PyTorch really allocated, image included. What it
            exceeds `tensor_bytes` by is scratch inside single operators: copies of an operator's
            input, filters and output in the layout its kernel wants.
    """

    milliseconds: dict[str, float]
    threads: int
    tensor_bytes: int
    allocated_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def measure_runtime(network: DeviceNetwork, image: Tensor, exported: Run, name: str) -> Runtime:
    """Time one image and watch its memory.

    Args:
        network: In PyTorch.
        image: uint8, shape ``(1, 3, size, size)``.
        exported: The same network as a file, run.
        name: What runs it.

    Returns:
        What was measured.
    """
    image = image.clone()  # a part of many images would keep all of them in memory
    with torch.no_grad():
        runs: dict[str, Run] = {"pytorch": network, name: exported}
        return Runtime(
            milliseconds={name: milliseconds(run, image) for name, run in runs.items()},
            threads=torch.get_num_threads(),
            tensor_bytes=tensor_bytes(network, image),
            allocated_bytes=allocated_bytes(network, image),
        )


def milliseconds(run: Run, images: Tensor, seconds: float = SECONDS) -> float:
    """Return the median time of a run.

    Args:
        run: What is timed.
        images: What it is given each time.
        seconds: How long to repeat it.
    """
    run(images)
    times: list[float] = []
    while len(times) < LEAST_RUNS or sum(times) < seconds:
        started = time.perf_counter()
        run(images)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


def tensor_bytes(network: torch.nn.Module, images: Tensor) -> int:
    """Return the largest sum of tensors alive at once, the images included.

    Args:
        network: What is run.
        images: What it is given.
    """
    watcher = LiveTensors(images, network.state_dict().values())
    with watcher:
        network(images)
    return max(watcher.bytes_after)


def allocated_bytes(network: torch.nn.Module, images: Tensor) -> int:
    """Return the largest sum of what PyTorch's CPU allocator handed out, the images included.

    Args:
        network: What is run.
        images: What it is given.
    """
    network(images)  # what is only prepared once does not count
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler writes to stderr
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        network(images)
    events: Any = watched.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = fullest = images.nbytes
    for _, change in changes:
        now += change
        fullest = max(fullest, now)
    return fullest
