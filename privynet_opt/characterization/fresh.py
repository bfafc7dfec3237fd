"""Measure topologies once more: a fresh attacker and a fresh cloud network, from scratch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privynet_opt.attacks.class_means import PSEUDO_ROWS
from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.gallery import Gallery
from privynet_opt.characterization.job import measurement_key
from privynet_opt.characterization.label_aware import measure_label_aware
from privynet_opt.characterization.measure import measure_screen, measure_trained
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.provenance import (
    circumstances,
    fidelities_alike,
    is_same_source,
)
from privynet_opt.characterization.schema import GALLERY
from privynet_opt.characterization.study_inputs import StudyInputs
from privynet_opt.networks.cuts import choose_cuts
from privynet_opt.networks.device import checked_device
from privynet_opt.topology import LocalTopology

if TYPE_CHECKING:
    from privynet_opt.study_spec import StudySpec

Row = dict[str, Any]

LABEL_AWARE = f"label_aware_{PSEUDO_ROWS:g}"
"""Folder of what an attacker who knows the labels recovers, beside the other measurements; of
another recipe of his, another folder."""


@dataclass(frozen=True)
class FreshMeasurements:
    """What was measured once more.

    Attributes:
        rows: One per topology, by the columns of `schema.COLUMNS`.
        label_aware: What an attacker recovers who knows the label too, by the columns of
            `measure_label_aware`; none where he was not asked for.
        screened: The closed forms of each likewise, rows of fidelity ``screen``: where features are
            noisy or images few they may recover more than a decoder that was trained.
        identity: What decides their values, from `provenance.identity`, as JSON holds it.
        circumstances: When and on what they were measured.
        gallery: Folder of what the attackers recovered, on these images.
    """

    rows: tuple[Row, ...]
    screened: tuple[Row, ...]
    label_aware: tuple[Row, ...]
    identity: dict[str, Any]
    circumstances: dict[str, Any]
    gallery: Path

    def alike(self, sidecar: dict[str, Any]) -> list[str]:
        """Return the fidelities whose rows a table measured with the same weights, images, recipe.

        Args:
            sidecar: Of the table.
        """
        return fidelities_alike(sidecar, self.identity)

    def is_of(self, sidecar: dict[str, Any]) -> bool:
        """Return whether a table is of the same weights and images, by whichever recipe.

        Args:
            sidecar: Of the table.
        """
        return is_same_source(sidecar, self.identity)


def measure_again(
    spec: StudySpec,
    topologies: Iterable[LocalTopology],
    fidelity: str,
    training_seed: int,
    output: Path,
    data: Path | None = None,
    weights: str | None = None,
    device: str = "cpu",
    searched: Mapping[tuple[str, int], tuple[int, ...]] | None = None,
    skip_bad: bool = False,
    label_aware: bool = True,
) -> FreshMeasurements:
    """Attack in closed form, by networks of their own, and knowing labels; what is done is kept.

    Args:
        spec: The study.
        topologies: What is measured.
        fidelity: ``"standard"`` or ``"full"``.
        training_seed: Seed of attackers and cloud networks.
        output: Folder that keeps finished measurements, those of other images or weights apart, so
            that a killed run goes on.
        data: Where the images are; None only for data the package can make itself.
        weights: Weights file or name; None takes the study's.
        device: ``"cpu"`` or ``"cuda"``.
        searched: Channels that searching found, by cut layer and count of kept filters.
        skip_bad: Leave out files and sub-folders that cannot be read, and warn of them.
        label_aware: Whether an attacker who knows the labels attacks as well.

    Returns:
        All three rows of each, in the order of the topologies.

    Raises:
        PrivyNetOptError: If network, weights, images, device or folder are not usable.
    """
    checked = checked_device(device)
    inputs = StudyInputs.load(spec, data, weights, skip_bad)
    own = json.dumps(inputs.identity(), sort_keys=True)
    place = output / hashlib.sha256(own.encode()).hexdigest()[:12]
    folder, informed = MeasurementFolder(place), MeasurementFolder(place / LABEL_AWARE)
    closed = {topology: measurement_key(topology, "screen") for topology in topologies}
    trained = {topology: measurement_key(topology, fidelity, training_seed) for topology in closed}
    missing = [
        topology
        for topology, key in trained.items()
        if not (folder.has(closed[topology]) and folder.has(key))
        or (label_aware and not informed.has(key))
    ]
    for name in dict.fromkeys(topology.cut_layer for topology in missing):
        (cut,) = choose_cuts(inputs.cuts, [name])
        source = FeatureSource(inputs.backbone, cut, inputs.splits, checked, keep=True)
        bank = build_bank(source).with_searched(searched or {})
        gallery = Gallery(place / GALLERY, bank.score_images, bank.score_labels)
        for topology in missing:
            if topology.cut_layer != name:
                continue
            if not folder.has(closed[topology]):
                folder.add(measure_screen(bank, topology))
            if not folder.has(trained[topology]):
                folder.add(
                    measure_trained(bank, topology, fidelity, training_seed, gallery=gallery)
                )
            if label_aware and not informed.has(trained[topology]):
                informed.add(measure_label_aware(bank, topology, fidelity, training_seed))
    return FreshMeasurements(
        rows=tuple(map(folder.get, trained.values())),
        screened=tuple(map(folder.get, closed.values())),
        label_aware=tuple(map(informed.get, trained.values())) if label_aware else (),
        identity=json.loads(own),
        circumstances=circumstances(checked),
        gallery=place / GALLERY,
    )
