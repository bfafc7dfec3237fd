from __future__ import annotations

import pytest
import torch

from privynet_opt.attacks.class_means import BATCH, PSEUDO_ROWS, ClassMeans


@pytest.fixture
def drawn():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2 * BATCH + 7,))
    return torch.randn(len(labels), 2, 4, 4).half(), labels


def test_a_class_has_the_mean_of_its_rows_and_of_some_average_ones(drawn):
    rows, labels = drawn
    means = ClassMeans.fit(rows, labels, 3)
    overall = rows.float().mean(0)
    torch.testing.assert_close(means.overall, overall, atol=1e-5, rtol=1e-5)
    for label in range(3):
        own = rows[labels == label].float()
        expected = (own.sum(0) + PSEUDO_ROWS * overall) / (len(own) + PSEUDO_ROWS)
        torch.testing.assert_close(means.of(torch.tensor([label]))[0], expected, atol=1e-5, rtol=0)


def test_what_labels_say_of_a_row_that_was_added_up_does_not_depend_on_it(drawn):
    rows, labels = drawn
    changed = rows.clone()
    changed[5] += 3
    means, others = (ClassMeans.fit(each, labels, 3) for each in (rows, changed))
    others = ClassMeans(others.sums, others.counts, means.overall)
    one = slice(5, 6)
    before, after = means.without(rows[one], labels[one]), others.without(changed[one], labels[one])
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)
    assert not torch.allclose(means.of(labels[one]), others.of(labels[one]), atol=1e-4)


def test_of_a_class_without_rows_the_mean_of_all_is_known():
    rows = torch.tensor([[0.2], [0.4]])
    means = ClassMeans.fit(rows, torch.tensor([0, 0]), 2)
    torch.testing.assert_close(means.of(torch.tensor([1])), torch.tensor([[0.3]]))
