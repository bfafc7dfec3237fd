"""The layers that decoder and cloud network are built from."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from privynet_opt.networks.layers import FEW_CELLS, FewCellsConv2d


@pytest.mark.parametrize("grid", [(1, 1), (1, 3), (2, 2), (3, 4)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_few_cells_are_convolved_as_many_are(grid, memory_format):
    torch.manual_seed(0)
    layer = FewCellsConv2d(5, 7).to(memory_format=memory_format)
    features = torch.randn(3, 5, *grid).to(memory_format=memory_format).requires_grad_()
    expected = functional.conv2d(features, layer.weight, layer.bias, padding=1)
    direction = torch.randn_like(expected)
    wanted = (features, *layer.parameters())
    gradients = torch.autograd.grad(expected, wanted, direction)

    convolved = layer(features)

    torch.testing.assert_close(convolved, expected)
    torch.testing.assert_close(torch.autograd.grad(convolved, wanted, direction), gradients)


def test_few_cells_are_multiplied_not_convolved(monkeypatch):
    convolved = []

    def conv(self: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        convolved.append(x[0, 0].numel())
        return x

    monkeypatch.setattr(nn.Conv2d, "forward", conv)
    layer = FewCellsConv2d(3, 4)

    for grid in ((2, 2), (1, FEW_CELLS), (1, FEW_CELLS + 1)):
        layer(torch.zeros(2, 3, *grid))

    assert convolved == [FEW_CELLS + 1]
