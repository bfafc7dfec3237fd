"""Products of neighbourhoods equal those of neighbourhoods that are written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from privynet_opt.attacks.neighbourhoods import NeighbourhoodProducts


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (2, 2), (3, 2), (4, 4), (7, 5)])
def test_products_equal_those_of_unfolded_neighbourhoods(size):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 5, *size, generator=generator)
    targets = torch.randn(6, 4, *size, generator=generator)
    products = NeighbourhoodProducts(5, *size, features.device)
    for part in (slice(0, 2), slice(2, 6)):
        products.add(features[part], targets[part])
    patches = functional.unfold(features, 3, padding=1).movedim(1, 2).flatten(0, 1)
    patches = functional.pad(patches, (0, 1), value=1.0)
    torch.testing.assert_close(products.gram(), patches.T @ patches, atol=1e-4, rtol=1e-5)
    expected = patches.T @ targets.movedim(1, 3).flatten(0, 2)
    torch.testing.assert_close(products.cross(), expected, atol=1e-4, rtol=1e-5)
    assert products.cells == 6 * size[0] * size[1]
