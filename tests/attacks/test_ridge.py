"""The closed-form attacker equals an explicit least-squares fit on the subset."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from privynet_opt.attacks import gram_matrix
from privynet_opt.attacks.linear_classifier import LinearClassifier
from privynet_opt.attacks.metrics import psnr_db
from privynet_opt.attacks.ridge import RIDGE, LinearDecoder, RidgeAttacker

CHANNELS, GRID, SIZE, N = 5, 4, 8, 60


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(N, 3, SIZE, SIZE, generator=generator)
    small = torch.nn.functional.avg_pool2d(images, 2)
    mixing = torch.randn(CHANNELS, 3, generator=generator)
    features = torch.einsum("ck,nkhw->nchw", mixing, small).tanh()
    features = (features - features.mean(0)) / features.std((0, 2, 3), keepdim=True)
    return features, images


@pytest.fixture(scope="module")
def attacker(data):
    features, images = data
    return RidgeAttacker.fit(zip(features.split(7), images.split(7), strict=True), images.mean(0))


def explicit(features, images, kept):
    """Fit the same linear map by stacking every neighbourhood, cell by cell."""
    padded = np.pad(features[:, kept].double().numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    centred = (images - images.mean(0)).double().numpy()
    rows, targets = [], []
    for y in range(GRID):
        for x in range(GRID):
            rows.append(padded[:, :, y : y + 3, x : x + 3].reshape(N, -1))
            targets.append(centred[:, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(N, -1))
    design = np.hstack([np.vstack(rows), np.ones((N * GRID * GRID, 1))])
    penalty = np.diag([*[RIDGE] * (design.shape[1] - 1), 1e-6]) * len(design)
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ np.vstack(targets))
    fitted = np.stack(np.split(design @ solution, GRID * GRID)).reshape(GRID, GRID, N, 3, 2, 2)
    return fitted.transpose(2, 3, 0, 4, 1, 5).reshape(N, 3, SIZE, SIZE) + images.mean(0).numpy()


@pytest.mark.parametrize("kept", [[2], [4, 1], [0, 1, 2, 3, 4]])
def test_sub_block_solve_equals_an_explicit_least_squares_fit(data, attacker, kept):
    features, images = data
    recovered = attacker.decoder(kept).reconstruct(features[:, kept])
    np.testing.assert_allclose(recovered.numpy(), explicit(features, images, kept), atol=2e-4)


def test_order_of_channels_changes_nothing(data, attacker):
    features, _ = data
    one, other = [3, 0, 4], [4, 3, 0]
    torch.testing.assert_close(
        attacker.decoder(one).reconstruct(features[:, one]),
        attacker.decoder(other).reconstruct(features[:, other]),
        atol=1e-4,
        rtol=1e-4,
    )


def test_more_channels_never_fit_worse(data, attacker):
    features, images = data
    errors = []
    for count in range(1, CHANNELS + 1):
        kept = list(range(count))
        recovered = attacker.decoder(kept).reconstruct(features[:, kept])
        errors.append(float((recovered - images).square().mean()))
    assert all(b <= a + 1e-6 for a, b in itertools.pairwise(errors))


def test_exposure_of_a_channel_is_the_variance_it_explains_alone(data, attacker):
    features, images = data
    total = float((images - images.mean(0)).square().mean())
    exposure = attacker.channel_exposure()
    for channel in range(CHANNELS):
        recovered = attacker.decoder([channel]).reconstruct(features[:, [channel]])
        left = float((images - recovered).square().mean())
        assert float(exposure[channel]) == pytest.approx(1 - left / total, abs=0.02)


def test_streaming_in_other_batches_gives_the_same_matrix(data, attacker):
    features, images = data
    whole = RidgeAttacker.fit([(features, images)], images.mean(0))
    torch.testing.assert_close(whole.gram, attacker.gram, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_images", [20, 40, 100])
def test_few_images_are_not_fitted_too_well(n_images):
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(n_images + 200, 3, 4, 4, generator=generator)
    features = torch.randn(n_images + 200, 12, 2, 2, generator=generator)
    features[:, 0] += 2 * torch.nn.functional.avg_pool2d(images, 2).mean(1)
    own, unseen = slice(n_images), slice(n_images, None)
    attack = RidgeAttacker.fit([(features[own], images[own])], images[own].mean(0))
    kept = list(range(12))

    def error(recovered):
        return float((recovered - images[unseen]).square().mean())

    solution = attack.solve(kept, attack.cross, RIDGE)
    weight = solution[:-1].T.reshape(-1, 12, 3, 3)
    overfitted = LinearDecoder(weight, solution[-1], attack.mean_image)
    recovered = error(attack.decoder(kept).reconstruct(features[unseen]))
    assert recovered < 0.9 * error(overfitted.reconstruct(features[unseen]))
    assert recovered < 1.1 * error(attack.mean_image)


def test_the_penalty_grows_only_where_samples_are_few(attacker):
    assert attacker.samples == N * GRID**2
    few = replace(attacker, samples=100)
    assert [few.penalty(k) for k in (1, 2, 3, 10)] == [RIDGE, RIDGE, 0.28, 0.91]


def test_a_decoder_starts_from_a_larger_penalty_where_samples_are_few(attacker):
    some = replace(attacker, samples=2_000)
    assert [some.starting_penalty(k) for k in (1, 2, 3)] == [RIDGE, RIDGE, pytest.approx(0.056)]
    assert some.penalty(3) == RIDGE
    larger = attacker.decoder([0, 1], penalty=some.starting_penalty(3))
    assert larger.weight.norm() < attacker.decoder([0, 1]).weight.norm()


def test_features_that_are_the_image_give_it_away():
    images = torch.rand(200, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    features = (images - images.mean(0)) / images.std()
    attack = RidgeAttacker.fit([(features, images)], images.mean(0))
    recovered = attack.decoder([0, 1, 2]).reconstruct(features)
    assert float(psnr_db(images, recovered).mean()) > 45


@pytest.mark.parametrize("block", [3, 8])
def test_linear_classifier_holds_the_products_of_standardised_summaries_and_labels(
    block, monkeypatch
):
    monkeypatch.setattr(gram_matrix, "BLOCK", block)
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(0, 3, (90,), generator=generator)
    pooled = torch.randn(90, 4, 2, generator=generator) + labels.view(-1, 1, 1)
    classifier = LinearClassifier.fit(zip(pooled.split(30), labels.split(30), strict=True), 3)
    summaries = ((pooled - pooled.mean(0)) / pooled.std(0)).flatten(1).double()
    targets = torch.nn.functional.one_hot(labels, 3).double()
    gram, cross = (summaries.T @ other / 90 for other in (summaries, targets - targets.mean(0)))
    torch.testing.assert_close(classifier.gram.double(), gram, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(classifier.cross.double(), cross, atol=1e-5, rtol=1e-4)


def test_summaries_that_hardly_vary_around_a_large_mean_keep_their_digits():
    generator = torch.Generator().manual_seed(2)
    scale = torch.tensor([1.0, 1e-2, 1e-3, 0.0]).view(1, 4, 1)
    pooled = 25 + scale * torch.randn(400, 4, 8, generator=generator)
    labels = torch.arange(400) % 3
    batches = list(zip(pooled.split(64), labels.split(64), strict=True))
    classifier = LinearClassifier.fit(batches, 3)
    flat = pooled[:, :3].double().flatten(1)
    standard = (flat - flat.mean(0)) / flat.std(0)
    expected = standard.T @ standard / 400
    torch.testing.assert_close(classifier.gram[:24, :24].double(), expected, atol=1e-3, rtol=0)
    assert torch.linalg.eigvalsh(classifier.gram.double()).min() > -1e-4
