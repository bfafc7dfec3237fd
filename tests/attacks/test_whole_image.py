"""Regression on whole images equals an explicit least-squares fit on the subset."""

from __future__ import annotations

import itertools

import pytest
import torch

from privynet_opt.attacks import gram_matrix, whole_image
from privynet_opt.attacks.whole_image import (
    FINE_REGIONS,
    MOST_COLUMNS,
    MOST_FINE_COLUMNS,
    PENALTY,
    SUMMARIES,
    Regions,
    WholeImageRegression,
    summarise,
    thumbnails,
    with_thumbnails,
)

CHANNELS, GRID, SIZE, N = 5, 4, 16, 300

REGIONS = Regions(2, 4)
"""Eight coarse summaries of each map, four of them means, and sixteen fine ones."""


@pytest.fixture(scope="module")
def data():
    """Images, and standardised features that each show another blurred mixture of all of them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(N, 3, 4, 4, generator=generator).repeat_interleave(4, 2)
    images = images.repeat_interleave(4, 3)
    mixing = torch.randn(CHANNELS * GRID**2, 48, generator=generator)
    features = (images[:, :, ::4, ::4].flatten(1) - 0.5) @ mixing.T + torch.randn(
        N, CHANNELS * GRID**2, generator=generator
    )
    features = features.relu().view(N, CHANNELS, GRID, GRID)
    mean, std = features.mean(0, keepdim=True), features.std((0, 2, 3), keepdim=True)
    return (features - mean) / std, mean / std, images


@pytest.fixture(scope="module")
def summaries(data):
    features, centre, _ = data
    return summarise(features, centre, REGIONS).half()


@pytest.fixture(scope="module")
def attack(data, summaries):
    return WholeImageRegression.fit(summaries.split(64), thumbnails(data[2]), REGIONS)


@pytest.mark.parametrize("block", [7, 16, 40])
def test_the_gram_matrix_is_the_same_in_blocks(data, summaries, block, monkeypatch):
    monkeypatch.setattr(gram_matrix, "BLOCK", block)
    seen = summaries.double().flatten(1)
    standard = (seen - seen.mean(0)) / seen.std(0, correction=0)
    found = WholeImageRegression.fit(summaries.split(64), thumbnails(data[2]), REGIONS).gram
    torch.testing.assert_close(found.double(), standard.T @ standard / N, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "kept, most_solved, n_all, n_coarse",
    [
        ([2], 4_096, (1, 24), 0),
        ([4, 1], 4_096, (2, 24), 0),
        ([0, 1, 2, 3, 4], 4_096, (5, 24), 0),
        ([2], 24, (1, 24), 0),
        ([4, 1], 47, (1, 24), 8),
        ([4, 1], 32, (1, 24), 8),
        ([4, 1], 31, (0, 24), 8),
        ([3, 0, 1], 16, (1, 8), 4),
        ([0, 1, 2, 3, 4], 8, (0, 8), 4),
    ],
)
def test_sub_block_solve_equals_an_explicit_least_squares_fit(
    data, summaries, attack, kept, most_solved, n_all, n_coarse, monkeypatch
):
    """Of channels that are too many the first by what they say alone are looked at more closely."""
    monkeypatch.setattr(whole_image, "MOST_SOLVED", most_solved)
    targets = thumbnails(data[2]).double()
    standard = (summaries.double() - summaries.double().mean(0)) / summaries.double().std(0)
    said = torch.einsum("ncm,nt->cmt", standard, targets - targets.mean(0)).square().sum((1, 2))
    kept_by_said = sorted(kept, key=lambda channel: -float(said[channel]))
    n_closely, width = n_all
    used = [width if place < n_closely else n_coarse for place in range(len(kept))]
    seen = torch.cat(
        [summaries[:, c, :m].double() for c, m in zip(kept_by_said, used, strict=True)], 1
    )
    design = (seen - seen.mean(0)) / seen.std(0, correction=0)
    penalty = PENALTY * design.shape[1] * torch.eye(design.shape[1])
    solution = torch.linalg.solve(
        design.T @ design + penalty, design.T @ (targets - targets.mean(0))
    )
    expected = design @ solution + targets.mean(0)
    predicted = attack.predict(summaries, kept)
    torch.testing.assert_close(predicted.double(), expected, atol=1e-4, rtol=1e-4)


def test_summaries_are_means_and_mean_roots_of_the_features_before_they_were_centred(data):
    features, centre, _ = data
    summary = summarise(features[:1], centre, REGIONS)[0, 3]
    corner = features[0, 3, 2:, :2]
    assert float(summary[2]) == pytest.approx(float(corner.mean()), abs=1e-6)
    root = (corner + centre[0, 3, 2:, :2]).clamp_min(0).sqrt().mean()
    assert float(summary[4 + 2]) == pytest.approx(float(root), abs=1e-3)
    torch.testing.assert_close(summary[8:], features[0, 3].flatten())
    assert summarise(features[:1], centre, Regions(2)).shape[2] == 8
    below = summarise(-centre - 4, centre, Regions(1))
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
    whole = WholeImageRegression.fit([summaries], thumbnails(data[2]), REGIONS)
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
    seen = summarise(features - centre, centre, Regions(4))
    attack = WholeImageRegression.fit([seen], thumbnails(images), Regions(4))
    recovered = with_thumbnails(torch.zeros_like(images), attack.predict(seen.half(), [0, 1, 2]))
    assert float((recovered - images).square().mean()) < 0.01 * float(images.var())


@pytest.mark.parametrize("size", [6, 8, 28, 32])
def test_a_thumbnail_moves_the_mean_of_every_block_and_nothing_finer(size):
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    wanted = torch.rand(thumbnails(images).shape, generator=torch.Generator().manual_seed(3))
    moved = with_thumbnails(images, wanted)
    torch.testing.assert_close(thumbnails(moved), wanted)
    torch.testing.assert_close(with_thumbnails(moved, thumbnails(images)), images)


def test_what_shows_in_a_corner_of_a_coarse_region_is_recovered_by_the_fine_ones():
    """Two cells of a coarse region change places at random: neither its mean nor its root tells."""
    generator = torch.Generator().manual_seed(4)
    is_left = torch.rand(400, generator=generator) < 0.5
    features = torch.zeros(400, 1, 8, 8)
    features[is_left, :, 0, 0] = 1
    features[~is_left, :, 0, 1] = 1
    images = features.repeat(1, 3, 1, 1)
    centre = features.mean(0, keepdim=True)
    errors = {}
    for regions in (Regions(4, 8), Regions(4)):
        seen = summarise(features - centre, centre, regions)
        attack = WholeImageRegression.fit([seen], thumbnails(images), regions)
        recovered = attack.predict(seen.half(), [0])
        errors[regions.fine] = float((recovered - thumbnails(images)).square().mean())
    assert errors[8] < 0.05 * errors[0]


@pytest.mark.parametrize(
    "channels, grid, is_fine",
    [
        (64, 32, True),
        (128, 8, True),
        (129, 8, False),
        (64, 4, False),
        (256, 8, False),
        (512, 4, False),
        (512, 1, False),
        (96, 7, False),
    ],
)
def test_regions_fit_the_grid_and_the_matrix(channels, grid, is_fine):
    regions = Regions.at(channels, grid)
    assert 1 <= regions.coarse <= grid
    assert SUMMARIES * channels * regions.coarse**2 <= MOST_COLUMNS
    assert regions.fine == (FINE_REGIONS if is_fine else 0)
    assert channels * regions.widths[-1] <= MOST_FINE_COLUMNS
