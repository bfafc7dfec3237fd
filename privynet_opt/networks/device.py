"""Where networks compute: the name a user gives becomes a device that is there."""

from __future__ import annotations

import torch

from privynet_opt.errors import NetworkError

DEVICES = ("cpu", "cuda")


def checked_device(name: str) -> torch.device:
    """Return the device of a name, before anything is computed.

    Args:
        name: One of `DEVICES`.

    Raises:
        NetworkError: If the name is another one or torch finds no such device.
    """
    if name not in DEVICES:
        raise NetworkError(
            f"`device` must be cpu or cuda, but got {name!r}. Leave it out to compute on the CPU."
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise NetworkError(
            "`device` must be there, but torch finds no CUDA device. "
            "Leave it out to compute on the CPU."
        )
    return torch.device(name)
