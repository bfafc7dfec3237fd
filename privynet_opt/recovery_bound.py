"""A bound on every attacker: how well noisy features can at best be turned back into images.

Van Trees' inequality (Gill & Levit, "Applications of the Van Trees inequality", Bernoulli 1995)
with the diagonal Fisher information of Maeng et al. (NeurIPS 2023): of features ``e = f(x) + n``
with normal ``n`` of deviation ``σ``, no estimate of an image ``x`` of ``d`` pixel values has a
smaller mean square error per value than ``d / (E tr I + tr S)``, where ``E tr I = E ‖J‖² / σ²`` for
the Jacobian ``J`` of ``f``, and ``S`` is what is known of images beforehand. Coding noisy features
tells nothing more, so that the bound holds for codes as well. Networks of convolutions, ReLU and
maxima are Lipschitz, and the inequality asks for no more.

``S`` of images is not known. What is assumed is that each of their values carries normal grain of
deviation `PRIOR_STD` that nothing else of the image tells: then ``tr S ≤ d / PRIOR_STD²`` (Stam's
inequality). Images that carry less may be recovered better than the bound says. It is of the mean
square error over images; a mean of per-image PSNR, as ``psnr_db``, lies a little higher.
"""

from __future__ import annotations

import math

PRIOR_STD = 0.1
"""Grain of the images, pixels in [0, 1]: what Maeng et al. add to theirs. No bound from it is ever
below 20 dB, which is the grain alone."""


def recovery_bound_db(information: float, noise_std: float, prior_std: float = PRIOR_STD) -> float:
    """Return a PSNR that no attacker exceeds.

    Args:
        information: ``E ‖J‖² / d``, of standardised features.
        noise_std: Deviation of the noise on them; 0 for none.
        prior_std: Deviation of the grain that images are assumed to carry.

    Returns:
        PSNR in dB of the smallest mean square error; infinite without noise.
    """
    if not noise_std:
        return math.inf
    return 10 * math.log10(information / noise_std**2 + prior_std**-2)
