"""Networks are trained in bfloat16 where the hardware gains by it, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.characterization import provenance
from privynet_opt.networks.precision import mixed_precision


def test_half_precision_is_used_only_where_cuda_hardware_has_it(monkeypatch):
    contexts = []
    monkeypatch.setattr(torch, "autocast", lambda *_, enabled, **__: contexts.append(enabled))
    for hardware in (True, False):
        monkeypatch.setattr(
            torch.cuda,
            "is_bf16_supported",
            lambda including_emulation=True, has=hardware: including_emulation or has,
        )
        mixed_precision(torch.device("cuda"))
    assert contexts == [True, False]


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": True, "cpu_name": "Intel Xeon"}, True),
        ({"amx_bf16": False, "avx512_bf16": True, "cpu_name": "Intel Xeon"}, False),
        ({"amx_bf16": False, "avx512_bf16": True, "cpu_name": "AMD EPYC"}, True),
        ({"amx_bf16": False, "avx512_bf16": False, "cpu_name": "AMD EPYC"}, False),
        ({}, False),
    ],
)
def test_half_precision_is_used_only_where_a_cpu_is_faster_by_it(
    monkeypatch, capabilities, expected
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    with mixed_precision(torch.device("cpu")):
        assert torch.is_autocast_enabled("cpu") == expected


@pytest.mark.parametrize(("fast", "told"), [(True, ", networks in bfloat16)"), (False, ")")])
def test_a_table_tells_the_numbers_its_networks_were_trained_in(monkeypatch, fast, told):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": fast})
    capability = torch.backends.cpu.get_cpu_capability()
    hardware = provenance.circumstances(torch.device("cpu"))["hardware"]
    assert hardware.endswith(capability + told)
