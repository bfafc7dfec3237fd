"""What every way of measuring a study starts from: its network, its cuts and its images."""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.characterization.provenance import identity, sidecar
from privynet_opt.characterization.psnr_scale import psnr_scale
from privynet_opt.cost import CutProfile
from privynet_opt.datasets.image_set import Splits, split
from privynet_opt.datasets.load import load_images
from privynet_opt.errors import DataWarning
from privynet_opt.networks.backbone import Backbone, check_weights, load_backbone
from privynet_opt.networks.cuts import Cut, choose_cuts, find_cuts
from privynet_opt.networks.profile import profile_cut

if TYPE_CHECKING:
    import torch

    from privynet_opt.study_spec import StudySpec

SPLIT_SEED = 0
"""Seed that divides the images; fixed, so that every run of a study measures on the same ones."""


@dataclass(frozen=True)
class StudyInputs:
    """A study with everything loaded that its measurements look at.

    Attributes:
        spec: The study.
        weights: Weights file, absolute, since workers may stand elsewhere, or a name.
        backbone: The network with those weights.
        cuts: Its cuts that the study offers, in the order of the network.
        splits: The three image sets.
    """

    spec: StudySpec
    weights: str
    backbone: Backbone
    cuts: tuple[Cut, ...]
    splits: Splits

    @classmethod
    def load(
        cls,
        spec: StudySpec,
        data: Path | None = None,
        weights: str | None = None,
        skip_bad: bool = False,
    ) -> StudyInputs:
        """Load them.

        Args:
            spec: The study.
            data: Where the images are; None only for data the package can make itself.
            weights: Weights file or name; None takes the study's.
            skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.

        Raises:
            PrivyNetOptError: If network, weights or images are not usable.
        """
        chosen = weights or spec.network.weights
        if Path(chosen).is_file():
            chosen = str(Path(chosen).resolve())
        check_weights(spec.network.name, chosen)
        splits = load_splits(spec, data, skip_bad)  # before anything is downloaded in vain
        backbone = load_backbone(spec.network.name, chosen)
        offered = find_cuts(backbone.graph, spec.data.image_size)
        chosen_cuts = choose_cuts(offered, spec.search_space.cut_layers)
        cuts = tuple(sorted(chosen_cuts, key=offered.index))
        return cls(spec, chosen, backbone, cuts, splits)

    def identity(self, start: str = "scratch") -> dict[str, Any]:
        """Return what decides the value of a measurement, as `provenance.identity` does.

        Args:
            start: Where trained fidelities start.
        """
        is_noisy = self.spec.search_space.noise_std is not None
        return identity(self.backbone, self.splits, self.spec.data.image_size, start, is_noisy)

    def profiles(self) -> list[CutProfile]:
        """Return what each cut costs."""
        return [profile_cut(self.backbone, cut, self.spec.data.image_size) for cut in self.cuts]

    @functools.cached_property
    def _psnr_scale_db(self) -> dict[str, float]:
        return psnr_scale(self.splits)

    def sidecar(
        self, device: torch.device, notes: dict[str, str] | None = None, start: str = "scratch"
    ) -> dict[str, Any]:
        """Return the sidecar of a table measured with these, as `provenance.sidecar` does.

        Args:
            device: Where it is measured.
            notes: Where the ``"data"`` and the ``"weights"`` come from.
            start: Where trained fidelities start.
        """
        data = {
            "name": self.spec.data.name,
            "image_size": self.spec.data.image_size,
            "psnr_scale_db": self._psnr_scale_db,
        }
        file = Path(self.weights) if Path(self.weights).is_file() else None
        profiles = self.profiles()
        own = self.identity(start)
        return sidecar(self.backbone, file, self.splits, profiles, data, notes or {}, device, own)


def load_splits(spec: StudySpec, data: Path | None, skip_bad: bool = False) -> Splits:
    """Read a study's images and divide them, the same way in every run.

    Args:
        spec: The study.
        data: Where the images are; None only for data the package can make itself.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.

    Returns:
        The cloud's, the attacker's and the scored images.

    Raises:
        DataError: If the images cannot be read, are too few, or the attacker's are all the same.

    Warns:
        DataWarning: If a scored image also trains the attacker or the cloud network.
    """
    train, test = load_images(
        spec.data.name, data, spec.data.image_size, spec.data.classes, skip_bad
    )
    settings = spec.characterization
    divided = split(
        train, test, settings.n_cloud, settings.n_attacker, settings.n_score, SPLIT_SEED
    )
    divided.attacker.check_attackable("--data")
    _warn_of_copies(divided)
    return replace(divided, mirrorable=spec.data.mirrorable)


def _warn_of_copies(splits: Splits) -> None:
    trained_on = {"attacker": splits.attacker, "cloud network": splits.cloud}
    for who, images in trained_on.items():
        if n_copies := splits.score.n_copies_of(images):
            told = (
                f"{n_copies:,} of the {len(splits.score):,} scored images train the {who} as well, "
                "pixel for pixel, and count as if it had not seen them. Remove the copies from the "
                "images and measure again"
            )
            warnings.warn(told, DataWarning, stacklevel=2)
