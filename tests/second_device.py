"""A second device that any machine has: numbers on the CPU that say they are elsewhere.

It refuses what CUDA refuses, operations on numbers of both devices and NumPy's view of its own, so
that what never runs without an accelerator can be run where there is none. What it computes is
computed by the CPU, and equal to that. It cannot tell what CUDA's own kernels compute, nor a
generator of one device from that of the other.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from importlib import import_module
from unittest.mock import patch

import torch
from torch.utils import _pytree as pytree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

NAME = "second"

aten = torch.ops.aten
MOVES = (aten._to_copy.default, aten.copy_.default)
INDEXED = (aten.index.Tensor, aten.index_put_.default)
"""Where CUDA takes indices that are on the CPU."""


USERS = (
    "characterization.characterize",
    "characterization.fresh",
    "characterization.job",
    "characterization.laboratory",
    "deploy.cloud_training",
)
"""Modules that compute on the device that a user names."""


class Module(backend_registration._DummyBackendModule):
    """What torch asks of a device's module."""

    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


backend_registration._setup_privateuseone_for_python_backend(NAME, Module())
DEVICE = torch.device(NAME, 0)


class Elsewhere(torch.Tensor):
    """A tensor of the second device; the CPU holds its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=DEVICE,
        )  # fmt: skip

    def __init__(self, held):
        self.held = held

    def tolist(self):
        return self.held.tolist()

    def numpy(self):
        raise TypeError("NumPy cannot see the second device. Use Tensor.cpu() first.")

    def __array__(self, dtype=None):
        return self.numpy()

    def __reduce_ex__(self, protocol):
        return self.held.__reduce_ex__(protocol)  # to be loaded on the CPU

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


class Generator(torch.Generator):
    """Draws for either device: the CPU draws for the second one too."""

    def __new__(cls, device="cpu"):
        return super().__new__(cls)


class SecondDevice(TorchDispatchMode):
    """Within it tensors can be made on the second device and moved there."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


def compute(function, args, kwargs):
    """Compute on the CPU what is asked of the second device."""
    tensors = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    own = [t for t in tensors if isinstance(t, Elsewhere)]
    target = kwargs.get("device")
    is_moved = target is not None and torch.device(target).type != "cpu"
    if not own and not is_moved:
        return function(*args, **kwargs)
    strange = [t for t in tensors if not isinstance(t, Elsewhere) and t.dim()]
    if own and strange and function not in MOVES + INDEXED:
        raise RuntimeError(f"{function} got tensors of two devices")
    if target is None:
        stays = function not in MOVES or isinstance(tensors[0], Elsewhere)
    else:
        stays, kwargs = is_moved, {**kwargs, "device": torch.device("cpu")}
    held_args, held_kwargs = pytree.tree_map_only(Elsewhere, lambda t: t.held, (args, kwargs))
    found = function(*held_args, **held_kwargs)
    if stays:
        found = pytree.tree_map_only(torch.Tensor, Elsewhere, found)
    return return_and_correct_aliasing(function, args, kwargs, found)


@contextmanager
def second_device():
    """Make ``--device cuda`` mean the second device."""
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=DEVICE) is a move then
    try:
        with ExitStack() as stack:
            for module in USERS:
                place = import_module(f"privynet_opt.{module}")
                stack.enter_context(patch.object(place, "checked_device", lambda name: DEVICE))
            for module in ("networks.precision", "characterization.provenance"):
                place = import_module(f"privynet_opt.{module}")
                stack.enter_context(patch.object(place, "uses_bfloat16", lambda device: False))
            stack.enter_context(patch.object(torch, "Generator", Generator))
            stack.enter_context(SecondDevice())
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
