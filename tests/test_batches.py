"""Batches are joined whole and in order."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.batches import joined


def test_joined_batches_are_the_concatenated_ones():
    rows = torch.randn(10, 2, 3).half()
    together = joined(iter(torch.split(rows, 4)), 10)
    assert together.dtype == torch.float16
    torch.testing.assert_close(together, rows, rtol=0, atol=0)


def test_missing_rows_are_noticed():
    with pytest.raises(AssertionError, match="every row"):
        joined([torch.zeros(4, 1)], 5)
