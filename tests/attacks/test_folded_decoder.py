"""A decoder for every subset, folded into one for a single subset, recovers the same."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.attacks.decoder import Decoder
from privynet_opt.attacks.folded_decoder import fold

CHANNELS, SIZE = 5, 16


@pytest.mark.parametrize("grid", [2, 4, 8, 16])  # spread by a pixel shuffle, as it is, gathered
def test_a_folded_decoder_recovers_the_same_without_conditions(grid):
    torch.manual_seed(0)
    decoder = Decoder(CHANNELS, grid, SIZE, n_conditions=3)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    seen, linear = torch.randn(6, CHANNELS, grid, grid), torch.rand(6, 3, SIZE, SIZE)
    conditions = torch.rand(3)
    for _ in range(3):  # the batch normalisations learn what is usual
        decoder(seen, linear, conditions.expand(6, -1))
    decoder.eval()
    expected = decoder(seen, linear, conditions.expand(6, -1))
    other = decoder(seen, linear, torch.zeros(6, 3))
    assert not torch.allclose(expected, other, atol=1e-3)  # the conditions matter
    folded = fold(decoder, conditions)
    assert torch.allclose(folded.train()(seen, linear), expected, atol=1e-5)
    assert all(parameter.requires_grad for parameter in folded.parameters())
    assert torch.equal(decoder(seen, linear, conditions.expand(6, -1)), expected)  # left as it was
