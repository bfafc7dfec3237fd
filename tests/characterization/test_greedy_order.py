"""The greedy order equals a brute-force forward selection that solves every fit anew."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from privynet_opt.attacks.linear_classifier import RIDGE, LinearClassifier, pool_features
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.characterization import greedy_order as greedy_order_module
from privynet_opt.characterization.greedy_order import FLOOR_SHARE, ForwardSelection, greedy_order

CHANNELS, N_CLASSES = 6, 3


@pytest.fixture(scope="module")
def closed_forms():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(90, 3, 8, 8, generator=generator)
    labels = (3 * images[:, 0, :4].mean((1, 2)).argsort().argsort() // len(images)).long()
    mixing = torch.randn(CHANNELS, 3, generator=generator)
    features = torch.einsum("ck,nkhw->nchw", mixing, functional.avg_pool2d(images, 2)).tanh()
    features += 0.3 * torch.randn(features.shape, generator=generator)
    features = (features - features.mean(0)) / features.std((0, 2, 3), keepdim=True)
    features[:, 5] = 0  # dead: says nothing and leaks nothing
    ridge = RidgeAttacker.fit([(features, images)], images.mean(0))
    return ridge, LinearClassifier.fit([(pool_features(features), labels)], N_CLASSES)


def label_power(classifier: LinearClassifier, kept: list[int]) -> float:
    m = classifier.mean.shape[1]
    rows = [channel * m + i for channel in kept for i in range(m)]
    block = classifier.gram[rows][:, rows].double() + RIDGE * torch.eye(len(rows))
    cross = classifier.cross[rows].double()
    return float((torch.linalg.solve(block, cross) * cross).sum())


def squared_error(ridge: RidgeAttacker, kept: list[int]) -> float:
    if not kept:
        return float(ridge.pixel_power.sum())
    solution = ridge.solve(kept, ridge.cross, ridge.penalty(CHANNELS))
    explained = (solution * ridge.cross[ridge.rows(kept)]).sum()
    return float(ridge.pixel_power.sum() - explained)


def brute_force(ridge: RidgeAttacker, classifier: LinearClassifier) -> list[int]:
    everything = list(range(CHANNELS))
    whole = squared_error(ridge, []) / squared_error(ridge, everything)
    floor = FLOOR_SHARE * 10 * math.log10(whole) / CHANNELS
    order: list[int] = []
    while len(order) < CHANNELS:
        before = label_power(classifier, order), squared_error(ridge, order)

        def worth(channel: int, before: tuple[float, float] = before) -> float:
            gain = label_power(classifier, [*order, channel]) - before[0]
            leak = 10 * math.log10(before[1] / squared_error(ridge, [*order, channel]))
            return gain / (leak + floor)

        order.append(max(set(everything) - set(order), key=worth))
    return order


def test_order_is_that_of_fits_solved_anew(closed_forms):
    order = greedy_order(*closed_forms)
    assert order.tolist() == brute_force(*closed_forms)
    assert order.tolist() != sorted(order)


def test_leaks_of_few_images_are_those_of_a_fit_that_does_not_follow_them_too_closely():
    generator = torch.Generator().manual_seed(4)
    images = torch.rand(6, 3, 8, 8, generator=generator)
    features = torch.randn(6, CHANNELS, 4, 4, generator=generator)
    ridge = RidgeAttacker.fit([(features, images)], images.mean(0))
    classifier = LinearClassifier.fit([(pool_features(features), torch.arange(6) % 3)], N_CLASSES)
    assert ridge.penalty(CHANNELS) > 0.5
    order = greedy_order(ridge, classifier).tolist()
    assert order == brute_force(ridge, classifier)
    as_if_many = replace(ridge, samples=1_000_000)
    assert order != greedy_order(as_if_many, classifier).tolist()


def test_a_channel_that_says_nothing_comes_last_though_it_leaks_nothing(closed_forms):
    assert greedy_order(*closed_forms)[-1] == 5


def test_the_closed_forms_are_left_as_they_are(closed_forms):
    ridge, classifier = closed_forms
    before = [tensor.clone() for tensor in (ridge.gram, ridge.cross, classifier.gram)]
    np.testing.assert_array_equal(greedy_order(ridge, classifier), greedy_order(ridge, classifier))
    for tensor, old in zip((ridge.gram, ridge.cross, classifier.gram), before, strict=True):
        assert torch.equal(tensor, old)


@pytest.mark.parametrize("panel", [1, 2, 16])
def test_gains_are_what_channels_add_to_a_fit_solved_anew(panel, monkeypatch):
    monkeypatch.setattr(greedy_order_module, "PANEL", panel)
    n, block, penalty = 7, 3, 0.1
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(4, n * block, generator=generator)  # so that channels repeat each other
    seen = torch.randn(200, 4, generator=generator) @ mixing
    seen += torch.randn(seen.shape, generator=generator)
    wanted = seen @ torch.randn(n * block, 2, generator=generator)
    gram, cross = seen.T @ seen / len(seen), seen.T @ wanted / len(seen)

    def explained(kept: list[int]) -> float:
        rows = [channel * block + i for channel in kept for i in range(block)]
        system = gram[rows][:, rows] + penalty * torch.eye(len(rows))
        return float((torch.linalg.solve(system, cross[rows]) * cross[rows]).sum())

    selection = ForwardSelection(gram, cross, block, penalty)
    left, kept = list(range(n)), []
    for index in (1, 4, 0, 2, 0, 1):
        selection.add(index)
        kept.append(left[index])
        left[index] = left[-1]
        left.pop()
        anew = torch.tensor([explained([*kept, channel]) - explained(kept) for channel in left])
        torch.testing.assert_close(selection.gains(), anew, rtol=1e-3, atol=1e-3)
