"""Regression on whole images equals an explicit least-squares fit on the subset."""

from __future__ import annotations

import itertools

import pytest
import torch

from privynet_opt.attacks import whole_image
from privynet_opt.attacks.whole_image import (
    MOST_COLUMNS,
    PENALTY,
    SUMMARIES,
    WholeImageRegression,
    regions,
    summarise,
    thumbnails,
    with_thumbnails,
)

CHANNELS, GRID, SIZE, N = 5, 4, 16, 300


@pytest.fixture(scope="module")
def data():
    """Images, and standardised features that each show another blurred mixture of all of them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(N, 3, 4, 4, generator=generator).repeat_interleave(4, 2)
    images = images.repeat_interleave(4, 3)
    mixing = torch.randn(CHANNELS * GRID**2, 48, generator=generator)
    features = images[:, :, ::4, ::4].flatten(1) @ mixing.T + torch.randn(
        N, CHANNELS * GRID**2, generator=generator
    )
    features = features.relu().view(N, CHANNELS, GRID, GRID)
    mean, std = features.mean(0, keepdim=True), features.std((0, 2, 3), keepdim=True)
    return (features - mean) / std, mean / std, images


@pytest.fixture(scope="module")
def summaries(data):
    features, centre, _ = data
    return summarise(features, centre, 2).half()


@pytest.fixture(scope="module")
def attack(data, summaries):
    return WholeImageRegression.fit(summaries.split(64), thumbnails(data[2]))


@pytest.mark.parametrize("block", [7, 16, 40])
def test_the_gram_matrix_is_the_same_in_blocks(data, summaries, block, monkeypatch):
    monkeypatch.setattr(whole_image, "BLOCK", block)
    seen = summaries.double().flatten(1)
    standard = (seen - seen.mean(0)) / seen.std(0, correction=0)
    found = WholeImageRegression.fit(summaries.split(64), thumbnails(data[2])).gram
    torch.testing.assert_close(found.double(), standard.T @ standard / N, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kept", [[2], [4, 1], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("most_solved", [4_096, 8])
def test_sub_block_solve_equals_an_explicit_least_squares_fit(
    data, summaries, attack, kept, most_solved, monkeypatch
):
    monkeypatch.setattr(whole_image, "MOST_SOLVED", most_solved)
    used = 8 if 8 * len(kept) <= most_solved else 4
    seen = summaries[:, kept, :used].double().flatten(1)
    design = (seen - seen.mean(0)) / seen.std(0, correction=0)
    targets = thumbnails(data[2]).double()
    penalty = PENALTY * design.shape[1] * torch.eye(design.shape[1])
    solution = torch.linalg.solve(
        design.T @ design + penalty, design.T @ (targets - targets.mean(0))
    )
    expected = design @ solution + targets.mean(0)
    predicted = attack.predict(summaries, kept)
    torch.testing.assert_close(predicted.double(), expected, atol=1e-4, rtol=1e-4)


def test_summaries_are_means_and_mean_roots_of_the_features_before_they_were_centred(data):
    features, centre, _ = data
    summary = summarise(features[:1], centre, 2)[0, 3]
    corner = features[0, 3, 2:, :2]
    assert float(summary[2]) == pytest.approx(float(corner.mean()), abs=1e-6)
    root = (corner + centre[0, 3, 2:, :2]).clamp_min(0).sqrt().mean()
    assert float(summary[4 + 2]) == pytest.approx(float(root), abs=1e-3)
    below = summarise(-centre - 4, centre, 1)
    torch.testing.assert_close(below[..., 1], torch.full((1, CHANNELS), -2.0))


def test_order_of_channels_changes_nothing(summaries, attack):
    one, other = attack.predict(summaries, [3, 0, 4]), attack.predict(summaries, [4, 3, 0])
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_more_channels_never_fit_worse(data, summaries, attack):
    wanted = thumbnails(data[2])
    errors = [
        float((attack.predict(summaries, range(count)) - wanted).square().mean())
        for count in range(1, CHANNELS + 1)
    ]
    assert all(b <= a for a, b in itertools.pairwise(errors))


def test_streaming_in_other_batches_gives_the_same_matrix(data, summaries, attack):
    whole = WholeImageRegression.fit([summaries], thumbnails(data[2]))
    torch.testing.assert_close(whole.gram, attack.gram)
    torch.testing.assert_close(whole.cross, attack.cross)


def test_what_shows_elsewhere_in_the_image_is_recovered():
    """The opposite corner of the features tells the colour: no window of cells reaches it."""
    generator = torch.Generator().manual_seed(1)
    colours = torch.rand(200, 3, 1, 1, generator=generator)
    images = torch.zeros(200, 3, 16, 16)
    images[:, :, :8, :8] = colours
    features = torch.zeros(200, 3, 8, 8)
    features[:, :, 6:, 6:] = colours
    centre = features.mean(0, keepdim=True)
    seen = summarise(features - centre, centre, 4)
    attack = WholeImageRegression.fit([seen], thumbnails(images))
    recovered = with_thumbnails(torch.zeros_like(images), attack.predict(seen.half(), [0, 1, 2]))
    assert float((recovered - images).square().mean()) < 0.01 * float(images.var())


@pytest.mark.parametrize("size", [6, 8, 28, 32])
def test_a_thumbnail_moves_the_mean_of_every_block_and_nothing_finer(size):
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    wanted = torch.rand(thumbnails(images).shape, generator=torch.Generator().manual_seed(3))
    moved = with_thumbnails(images, wanted)
    torch.testing.assert_close(thumbnails(moved), wanted)
    torch.testing.assert_close(with_thumbnails(moved, thumbnails(images)), images)


@pytest.mark.parametrize("channels, grid", [(64, 32), (256, 8), (512, 4), (512, 1), (96, 7)])
def test_regions_fit_the_grid_and_the_matrix(channels, grid):
    side = regions(channels, grid)
    assert 1 <= side <= grid
    assert SUMMARIES * channels * side**2 <= MOST_COLUMNS
