"""The numbers that networks are trained in."""

from __future__ import annotations

import torch


def uses_bfloat16(device: torch.device) -> bool:
    """Return whether networks are trained in bfloat16: where the hardware gains by it.

    A CPU does by its matrix tiles (AMX), and AMD's without: on an EPYC a step of a decoder took 0.6
    times as long as in float32, on an Intel Xeon that has avx512_bf16 alone 1.6 times.

    Args:
        device: Where the networks are.
    """
    if device.type != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not torch.backends.mkldnn.is_available():
        return False
    can = torch.cpu.get_capabilities()
    is_amd = "AMD" in can.get("cpu_name", "")
    return bool(can.get("amx_bf16") or (is_amd and can.get("avx512_bf16")))


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return the context in which networks are trained.

    Args:
        device: Where the network is.

    Returns:
        An autocast context; parameters and losses stay float32.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=uses_bfloat16(device))
