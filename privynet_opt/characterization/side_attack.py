"""Attacks beside the usual one, on a few topologies: what other images or more capacity change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from privynet_opt.characterization.bank import CutBank, build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.measure import measure_attack
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.topology import LOCAL_COLUMNS, LocalTopology

N_TOPOLOGIES = 12
"""Topologies that are attacked so, spread over cuts and counts as the trained ones are."""


@dataclass(frozen=True)
class SideAttack:
    """An attacker who differs from the usual one in one thing.

    Attributes:
        name: What the images he trains on are called; empty where they are the usual ones.
        images: Images of another kind; labels are not used. None for the usual ones.
        capacity: Width and blocks of his decoder, in multiples of the usual ones.
        topologies: What is attacked at one cut; features are sent plainly.
    """

    name: str = ""
    images: ImageSet | None = None
    capacity: int = 1
    topologies: tuple[LocalTopology, ...] = ()

    def at(self, topologies: Sequence[LocalTopology], cut_layer: str) -> SideAttack:
        """Return the attack on one cut.

        Args:
            topologies: What is attacked at all cuts.
            cut_layer: Name of the cut.
        """
        return replace(self, topologies=tuple(t for t in topologies if t.cut_layer == cut_layer))

    def missing(self, folder: MeasurementFolder) -> list[LocalTopology]:
        """Return the topologies that were not attacked so yet.

        Args:
            folder: The finished measurements.
        """
        own = self._description()
        done = {
            tuple(entry[name] for name in LOCAL_COLUMNS)
            for entry in folder.side_attacks()
            if own.items() <= entry.items()
        }
        return [t for t in self.topologies if tuple(t.as_dict().values()) not in done]

    def measure(self, bank: CutBank, folder: MeasurementFolder, training_seed: int) -> None:
        """Attack what is missing at one cut, by the recipe of ``standard``; each is stored at once.

        Args:
            bank: The cut; which channels are kept does not depend on the attacker.
            folder: Where the results are stored.
            training_seed: Seed of the decoders.
        """
        missing = self.missing(folder)
        if missing and self.images is not None:
            seen = bank.source
            splits = replace(seen.splits, attacker=self.images)
            source = FeatureSource(seen.backbone, seen.cut, splits, seen.device, keep=True)
            bank = replace(build_bank(source), statistics=bank.statistics)
        for topology in missing:
            attack = measure_attack(bank, topology, "standard", training_seed, self.capacity)
            folder.add_side_attack({**topology.as_dict(), **self._description(), **attack})

    def _description(self) -> dict[str, Any]:
        return {
            "capacity": self.capacity,
            "images": self.name,
            "n_images": 0 if self.images is None else len(self.images),
            "images_sha256": "" if self.images is None else self.images.sha256(),
        }


DOUBLED = SideAttack(capacity=2)
"""What a decoder twice as wide and deep recovers more shows whether the usual one is too small."""
