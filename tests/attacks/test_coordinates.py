"""Shared coordinates: closed forms that any subset must obey."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.attacks.coordinates import CutCoordinates
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.errors import TopologyError

CHANNELS, N, SIZE = 6, 400, 8


@pytest.fixture(scope="module")
def features():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(CHANNELS, CHANNELS, generator=generator)
    sources = torch.randn(N, CHANNELS, 4, 4, generator=generator)
    mixed = torch.einsum("ck,nkhw->nchw", mixing, sources)
    mixed = mixed - mixed.mean(0)
    return mixed / mixed.std((0, 2, 3), keepdim=True)


@pytest.fixture(scope="module")
def coordinates(features):
    images = torch.rand(N, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    ridge = RidgeAttacker.fit([(features, images)], images.mean(0))
    return CutCoordinates.of(ridge, n_components=CHANNELS)


def test_the_whole_cut_without_ridge_gives_the_principal_components(features, coordinates):
    mapped, _ = coordinates.solve(range(CHANNELS), penalty=1e-7).apply(features)
    components = mapped[:, 12:].movedim(1, 3).flatten(0, 2)
    covariance = components.T @ components / len(components)
    torch.testing.assert_close(covariance, torch.eye(CHANNELS), atol=0.02, rtol=0)
    vectors = features.movedim(1, 3).flatten(0, 2)
    _, _, right = torch.linalg.svd(vectors, full_matrices=False)
    expected = vectors @ right.T
    cosine = (components * expected).sum(0) / components.norm(dim=0) / expected.norm(dim=0)
    torch.testing.assert_close(cosine.abs(), torch.ones(CHANNELS), atol=1e-2, rtol=0)


def test_the_whole_cut_explains_all_of_its_own_components(coordinates):
    explained = coordinates.solve(range(CHANNELS), penalty=1e-7).explained
    torch.testing.assert_close(explained[12:], torch.ones(CHANNELS), atol=1e-3, rtol=0)


@pytest.mark.parametrize("outside", [-1, CHANNELS])
def test_a_channel_the_cut_does_not_have_is_named(coordinates, outside):
    with pytest.raises(TopologyError, match=f"from 0 to 5, but got {outside}"):
        coordinates.solve([0, outside])


def test_a_superset_never_explains_less(coordinates):
    before = torch.zeros(coordinates.n_coordinates)
    for count in range(1, CHANNELS + 1):
        explained = coordinates.solve(range(count)).explained
        assert (explained >= before - 1e-5).all()
        before = explained


def test_a_permutation_of_the_channels_changes_nothing(features, coordinates):
    one, other = [4, 0, 2], [2, 4, 0]
    for a, b in zip(
        coordinates.solve(one).apply(features[:, one]),
        coordinates.solve(other).apply(features[:, other]),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_the_linear_reconstruction_is_the_closed_form_attacker(features, coordinates):
    kept = [1, 5]
    _, linear = coordinates.solve(kept).apply(features[:, kept])
    expected = coordinates.ridge.decoder(kept).reconstruct(features[:, kept])
    torch.testing.assert_close(linear, expected)
