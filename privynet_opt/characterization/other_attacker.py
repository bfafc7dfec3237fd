"""What an attacker loses whose own images are of another kind than those he wants to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from typing import Any

from privynet_opt.characterization.bank import CutBank, FeatureSource, build_bank
from privynet_opt.characterization.measure import measure_attack
from privynet_opt.characterization.results import MeasurementFolder
from privynet_opt.datasets.image_set import ImageSet
from privynet_opt.topology import LocalTopology

N_TOPOLOGIES = 12
"""Topologies that are attacked so, spread over cuts and counts as the trained ones are."""

TOPOLOGY = tuple(field.name for field in fields(LocalTopology))


@dataclass(frozen=True)
class OtherAttacker:
    """An attacker who trains on images of another data set.

    Attributes:
        name: What the images are called.
        images: The images; labels are not used.
        topologies: What is attacked at one cut.
    """

    name: str
    images: ImageSet
    topologies: tuple[LocalTopology, ...] = ()

    def at(self, topologies: Sequence[LocalTopology], cut_layer: str) -> OtherAttacker:
        """Return the attacker of one cut.

        Args:
            topologies: What is attacked at all cuts.
            cut_layer: Name of the cut.
        """
        return replace(self, topologies=tuple(t for t in topologies if t.cut_layer == cut_layer))

    def missing(self, folder: MeasurementFolder) -> list[LocalTopology]:
        """Return the topologies that these images have not attacked yet.

        Args:
            folder: The finished measurements.
        """
        sha256 = self.images.sha256()
        done = {
            tuple(entry[name] for name in TOPOLOGY)
            for entry in folder.other_attacks()
            if entry["images_sha256"] == sha256
        }
        return [topology for topology in self.topologies if astuple(topology) not in done]

    def measure(self, bank: CutBank, folder: MeasurementFolder, training_seed: int) -> None:
        """Attack what is missing at one cut, by the recipe of ``standard``; each is stored at once.

        Args:
            bank: The cut; which channels are kept does not depend on the attacker.
            folder: Where the results are stored.
            training_seed: Seed of the decoders.
        """
        missing = self.missing(folder)
        if not missing:
            return
        seen = bank.source
        splits = replace(seen.splits, attacker=self.images)
        source = FeatureSource(seen.backbone, seen.cut, splits, seen.device, keep=True)
        own = replace(build_bank(source), statistics=bank.statistics)
        for topology in missing:
            entry: dict[str, Any] = {
                **asdict(topology),
                "images": self.name,
                "n_images": len(self.images),
                "images_sha256": self.images.sha256(),
                **measure_attack(own, topology, "standard", training_seed),
            }
            folder.add_other_attack(entry)
