"""PSNR and SSIM against closed forms and a direct computation."""

from __future__ import annotations

import math

import pytest
import torch

from privynet_opt.attacks.metrics import SSIM_C1, SSIM_C2, SSIM_SIGMA, psnr_db, ssim


def test_psnr_of_a_constant_error_is_its_closed_form():
    images = torch.full((2, 3, 8, 8), 0.5)
    errors = torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    assert psnr_db(images, images + errors).tolist() == pytest.approx([20.0, 40.0], abs=1e-3)


def test_psnr_clamps_the_reconstruction_to_pixels():
    assert float(psnr_db(torch.ones(1, 3, 4, 4), torch.full((1, 3, 4, 4), 7.0))) == 100.0


def test_ssim_of_identical_images_is_one_and_of_a_flat_guess_is_small():
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert ssim(images, images).tolist() == pytest.approx([1.0] * 3, abs=1e-5)
    assert float(ssim(images, torch.full_like(images, 0.5)).max()) < 0.1


def test_ssim_equals_a_window_by_window_computation():
    generator = torch.Generator().manual_seed(1)
    a = torch.rand(1, 1, 13, 12, generator=generator, dtype=torch.float64)
    b = (a + 0.2 * torch.randn(a.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    weights = torch.tensor(
        [
            [math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * SSIM_SIGMA**2)) for j in range(11)]
            for i in range(11)
        ],
        dtype=torch.float64,
    )
    weights /= weights.sum()
    values = []
    for top in range(3):
        for left in range(2):
            x = a[0, 0, top : top + 11, left : left + 11]
            y = b[0, 0, top : top + 11, left : left + 11]
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            cxy = (weights * (x - mx) * (y - my)).sum()
            values.append(
                (2 * mx * my + SSIM_C1)
                * (2 * cxy + SSIM_C2)
                / ((mx**2 + my**2 + SSIM_C1) * (vx + vy + SSIM_C2))
            )
    assert float(ssim(a, b)) == pytest.approx(float(torch.stack(values).mean()), abs=1e-9)


def test_small_images_shrink_the_window():
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    assert float(ssim(images, images)) == pytest.approx(1.0, abs=1e-5)
