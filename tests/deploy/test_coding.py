"""What is decoded is what was encoded, to half a step."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.deploy.coding import FEATURE_BITS, FeatureCoding

FEATURES = torch.randn(6, 3, 3, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor(
    [1.0, 10.0, 0.0]
).view(1, 3, 1, 1)
"""Two channels of different range and a dead one, on an odd number of cells."""


def fitted(bits):
    return FeatureCoding.fitted(bits, (3, 3, 5), FEATURES.split(4))


@pytest.mark.parametrize("bits", FEATURE_BITS)
def test_decoding_undoes_encoding_to_half_a_step(bits):
    coding = fitted(bits)
    coded = coding.encode(FEATURES, *coding.per_channel())
    assert coded.dtype == coding.dtype
    assert coded.shape == (6, *coding.coded_shape)
    away = (coding.decode(coded) - FEATURES).abs().amax((0, 2, 3))
    spread = FEATURES.amax((0, 2, 3)) - FEATURES.amin((0, 2, 3))
    allowed = {32: 0 * spread, 16: FEATURES.abs().amax((0, 2, 3)) * 2**-11}
    half_a_step = allowed.get(bits, spread / (2**bits - 1) / 2)
    assert (away <= half_a_step * (1 + 1e-4)).all()
    if bits < 32:
        assert away.max() > 0


@pytest.mark.parametrize(("bits", "sent"), [(32, 180), (16, 90), (8, 45), (4, 24)])
def test_bytes_per_image_are_those_sent(bits, sent):
    coding = fitted(bits)
    coded = coding.encode(FEATURES, *coding.per_channel())
    assert coding.bytes_per_image == sent == coded[0].numel() * coded.element_size()


@pytest.mark.parametrize("bits", [8, 4])
def test_values_outside_the_range_are_clamped_to_it(bits):
    coding = fitted(bits)
    decoded = coding.decode(coding.encode(100 * FEATURES, *coding.per_channel()))
    torch.testing.assert_close(decoded.amax((0, 2, 3)), FEATURES.amax((0, 2, 3)))
    torch.testing.assert_close(decoded.amin((0, 2, 3)), FEATURES.amin((0, 2, 3)))


def test_a_coding_survives_its_json_form():
    assert FeatureCoding.from_dict(fitted(4).as_dict()) == fitted(4)
