from __future__ import annotations

import torch

from privynet_opt.attacks.class_means import BATCH, class_means


def test_each_class_has_the_mean_of_its_own_rows():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2 * BATCH + 7,))
    rows = torch.randn(len(labels), 2, 4, 4).half()
    means = class_means(rows, labels, 3)
    for label in range(3):
        own = rows[labels == label].float().mean(0)
        torch.testing.assert_close(means[label], own, atol=1e-5, rtol=1e-5)


def test_a_class_without_rows_has_the_mean_of_all():
    rows = torch.tensor([[0.2], [0.4]])
    means = class_means(rows, torch.tensor([0, 0]), 2)
    torch.testing.assert_close(means, torch.tensor([[0.3], [0.3]]))
