"""What is decoded is what was encoded, to half a step."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.cost import CutProfile, cut_costs
from privynet_opt.networks.coding import FeatureCoding
from privynet_opt.topology import FEATURE_BITS

FEATURES = torch.randn(6, 3, 3, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor(
    [1.0, 10.0, 0.0]
).view(1, 3, 1, 1)
"""Two channels of different range and a dead one, on an odd number of cells."""


def coded(bits, features=FEATURES):
    """Return a coding, its ranges of `FEATURES`, and some features in it."""
    coding = FeatureCoding(bits, (3, 3, 5))
    ranges = coding.ranges(FEATURES.split(4))
    return coding, ranges, coding.encode(features, ranges)


@pytest.mark.parametrize("bits", FEATURE_BITS)
def test_decoding_undoes_encoding_to_half_a_step(bits):
    coding, ranges, sent = coded(bits)
    assert sent.dtype == coding.dtype
    assert sent.shape == (6, *coding.coded_shape)
    decoded = coding.decode(sent)
    allowed = {32: 0 * FEATURES, 16: FEATURES.abs() * 2**-11}.get(bits)
    if ranges is not None:
        decoded = decoded * (2**bits - 1) * ranges.step + ranges.lowest
        allowed = ranges.step / 2
    away = (decoded - FEATURES).abs()
    assert (away <= allowed * (1 + 1e-4)).all()
    if bits < 32:
        assert away.max() > 0


@pytest.mark.parametrize(("bits", "sent"), [(32, 180), (16, 90), (8, 45), (4, 24)])
def test_bytes_per_image_are_those_sent(bits, sent):
    coding, _, code = coded(bits)
    assert coding.bytes_per_image == sent == code[0].numel() * code.element_size()


@pytest.mark.parametrize("bits", [8, 4])
def test_values_outside_the_range_are_clamped_to_it(bits):
    coding, _, code = coded(bits, 100 * FEATURES)
    decoded = coding.decode(code)[:, :2]
    assert (decoded.amin((0, 2, 3)) == 0).all()
    assert (decoded.amax((0, 2, 3)) == 1).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_the_cloud_is_not_told_how_large_features_are(bits):
    coding, ranges, code = coded(bits)
    larger = coding.ranges([10 * FEATURES + 1])
    torch.testing.assert_close(coding.encode(10 * FEATURES + 1, larger), code)
    assert not torch.equal(larger.step, ranges.step)
    assert set(coding.as_dict()) == {"bits", "shape"}


def test_a_coding_survives_its_json_form():
    coding = FeatureCoding(4, (3, 3, 5))
    assert FeatureCoding.from_dict(coding.as_dict()) == coding


@pytest.mark.parametrize("bits", FEATURE_BITS)
@pytest.mark.parametrize("grid", [1, 4, 7])
def test_what_is_sent_is_what_the_search_counts(bits, grid):
    cut = CutProfile("c", "conv", "c", 1, 8, grid, grid, (0, 1), (0, 1), ((0, 1),))
    sent = FeatureCoding(bits, (5, grid, grid)).bytes_per_image
    assert int(cut_costs(cut, 5, bits)["feature_bytes"]) == sent
