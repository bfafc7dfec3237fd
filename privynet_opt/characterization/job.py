"""The work of one process: measure what is missing at one cut."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from privynet_opt.attacks.amortised import (
    N_SUBSETS,
    AmortisedNetworks,
    train_amortised,
    training_subsets,
)
from privynet_opt.attacks.coordinates import CutCoordinates
from privynet_opt.characterization.allocator import keep_freed_memory
from privynet_opt.characterization.amortised_store import load_networks, save_networks
from privynet_opt.characterization.anonymity import measure_anonymity
from privynet_opt.characterization.bank import CutBank, build_bank
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.gallery import Gallery
from privynet_opt.characterization.information import measure_information
from privynet_opt.characterization.measure import (
    measure_amortised,
    measure_screen,
    measure_stack,
    measure_trained,
)
from privynet_opt.characterization.measurement_folder import MeasurementFolder
from privynet_opt.characterization.recipes import AMORTISED, amortised_decoder, describe_networks
from privynet_opt.characterization.schema import GALLERY, TRAINED_FIDELITIES, subsets_of
from privynet_opt.characterization.side_attack import SideAttack
from privynet_opt.characterization.stems import Stems
from privynet_opt.characterization.subset_search import search_subset
from privynet_opt.datasets.image_set import Splits
from privynet_opt.networks.backbone import Backbone, load_backbone
from privynet_opt.networks.cuts import Cut
from privynet_opt.networks.device import checked_device
from privynet_opt.networks.local import without_tail
from privynet_opt.topology import LocalTopology

STEMS = Stems()
"""Of this process; kept from one cut to the next, as the network is."""

TRAINING_SEED = 1
"""Seed of the networks trained for a measurement."""


@dataclass(frozen=True)
class Job:
    """What is to be measured at one cut, as plain data that a worker process can be sent.

    Attributes:
        network: Name of the network.
        weights: Its weights, as `load_backbone` takes them.
        cut: The cut.
        splits: The three image sets.
        wanted: Topologies and the fidelities they are measured at.
        output: The run's output folder.
        device: Where to measure.
        threads: CPU threads of this job.
        start: Where trained fidelities start: ``"scratch"`` or ``"amortised"``.
        searched: Counts of kept filters for which a subset is searched.
        side_attacks: Attackers who differ from the usual one, and what they attack at this cut.
        stack: How many topologies are trained together, from scratch.
    """

    network: str
    weights: str
    cut: Cut
    splits: Splits
    wanted: tuple[tuple[LocalTopology, str], ...]
    output: Path
    device: str
    threads: int
    start: str = "scratch"
    searched: tuple[int, ...] = ()
    side_attacks: tuple[SideAttack, ...] = ()
    stack: int = 1

    def missing(self) -> list[tuple[LocalTopology, str]]:
        """Return what has no finished measurement yet."""
        folder = MeasurementFolder(self.output)
        return [pair for pair in self.wanted if not folder.has(measurement_key(*pair))]

    def uninformed(self) -> list[LocalTopology]:
        """Return the local networks whose information is wanted for a bound, and not known yet."""
        if not any(topology.noise_std for topology, _ in self.wanted):
            return []
        plain = [t for t, _ in self.wanted if t.is_sent_plainly]
        known = [LocalTopology.of(e) for e in MeasurementFolder(self.output).information()]
        return [] if set(plain) <= set(known) else list(dict.fromkeys(plain))

    def is_done(self) -> bool:
        """Return whether nothing is left to measure."""
        folder = MeasurementFolder(self.output)
        attacked = not any(attack.missing(folder) for attack in self.side_attacks)
        return not self.missing() and not self.uninformed() and attacked


def measurement_key(
    topology: LocalTopology, fidelity: str, training_seed: int = TRAINING_SEED
) -> dict[str, Any]:
    """Return the columns that identify a measurement.

    Args:
        topology: What is measured.
        fidelity: How.
        training_seed: Of the networks, where any are trained.

    Returns:
        The columns of `schema.KEY`.
    """
    return {
        **asdict(topology),
        "fidelity": fidelity,
        "training_seed": 0 if fidelity == "screen" else training_seed,
    }


def forget() -> None:
    """Let go of what this process keeps from one cut to the next."""
    STEMS.clear()
    _network.cache_clear()


def run_job(job: Job) -> None:
    """Measure what is missing at one cut; each measurement is stored as soon as it is done.

    Args:
        job: The cut and what is wanted of it.

    Raises:
        NetworkError: If the job's device is not there.
    """
    if job.is_done():
        return
    device = checked_device(job.device)  # of this machine, which need not be the one that asked
    keep_freed_memory()
    missing = job.missing()
    torch.set_num_threads(job.threads)
    folder = MeasurementFolder(job.output)
    file = Path(job.weights)
    changed = (file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else None
    image_size = job.splits.score.images.shape[-1]
    backbone = _network(job.network, job.weights, changed, image_size)
    needs_search = any(t.selection_strategy == "searched" for t, _ in missing)
    trains = needs_search or any(fidelity != "screen" for _, fidelity in missing)
    trains |= any(attack.missing(folder) for attack in job.side_attacks)
    source = FeatureSource(backbone, job.cut, job.splits, device, trains or None, STEMS)
    bank = build_bank(source)
    if trains:
        STEMS.make_room()
    unscored = _at("amortised", missing)
    trained = [(t, fidelity) for fidelity in TRAINED_FIDELITIES for t in _at(fidelity, missing)]
    networks = None
    if unscored or needs_search or (trained and job.start == "amortised"):
        networks = amortised_networks(bank, job.output / "amortised")
        folder.add_anonymity(job.cut.name, measure_anonymity(bank, networks))
        bank = _with_searched(bank, networks, job.searched, folder)
    for topology in _at("screen", missing):
        folder.add(measure_screen(bank, topology))
    uninformed = job.uninformed()
    if uninformed:
        folder.add_information(job.cut.name, measure_information(bank, uninformed))
    if networks is not None:
        for topology in unscored:
            folder.add(measure_amortised(bank, networks, topology))
    start = networks if job.start == "amortised" else None
    gallery = None
    if trained:
        gallery = Gallery(job.output / GALLERY, bank.score_images, bank.score_labels)
    for together, fidelity in _stacks(trained, job.stack):
        if start is None:
            rows = measure_stack(bank, together, fidelity, TRAINING_SEED, gallery)
        else:
            rows = [
                measure_trained(bank, topology, fidelity, TRAINING_SEED, start, gallery)
                for topology in together
            ]
        for row in rows:
            folder.add(row)
    for attack in job.side_attacks:
        attack.measure(bank, folder, TRAINING_SEED)


@functools.lru_cache(maxsize=1)
def _network(name: str, weights: str, changed: tuple[int, int] | None, image_size: int) -> Backbone:
    """Load the network once for all cuts, without what follows them.

    Its graph refers to itself, so that what is let go of is there until the collector finds it.
    """
    backbone = without_tail(load_backbone(name, weights), image_size)
    gc.collect()
    return backbone


def amortised_networks(bank: CutBank, folder: Path) -> AmortisedNetworks:
    """Return a cut's amortised networks: read if they were trained before, else trained.

    Args:
        bank: The cut.
        folder: Where the networks of all cuts are kept, and the state of a training under way.

    Returns:
        The trained networks.

    Raises:
        TableError: If the stored ones belong to other weights, images, cut or recipe.
    """
    splits, cut, device = bank.source.splits, bank.cut, bank.mean.device
    n_classes = len(splits.cloud.class_names)
    networks = AmortisedNetworks.untrained(
        CutCoordinates.of(bank.ridge), cut.height, n_classes, TRAINING_SEED
    )
    belongs_to = {
        "weights": bank.source.backbone.weights_sha256,
        "cut_layer": cut.name,
        "channels": cut.channels,
        "images": [splits.attacker.sha256(), splits.cloud.sha256()],
        "recipe": describe_networks(),
        "seed": TRAINING_SEED,
    }
    path = folder / f"{cut.name}.safetensors"
    if path.exists():
        return load_networks(path, networks, belongs_to)
    n = AMORTISED.max_images
    checkpoints = folder / f"{cut.name}.training"
    networks = train_amortised(
        networks,
        training_subsets(cut.name, bank.statistics, N_SUBSETS, TRAINING_SEED),
        lambda: (
            bank.features.first("attacker", n),
            splits.attacker.images[:n].to(device).float() / 255,
        ),
        lambda: (bank.features.first("cloud", n), splits.cloud.labels[:n].to(device)),
        (amortised_decoder(cut.height), AMORTISED.cloud),
        checkpoints,
    )
    save_networks(path, networks, belongs_to)
    for leftover in checkpoints.glob("*"):
        leftover.unlink()
    checkpoints.rmdir()
    return networks


def _with_searched(
    bank: CutBank, networks: AmortisedNetworks, counts: tuple[int, ...], folder: MeasurementFolder
) -> CutBank:
    """Return the bank with the subsets found for some counts; each is searched once."""
    known = bank.with_searched(subsets_of(folder.searched())).statistics.searched
    for count in set(counts) - set(known):
        folder.add_searched(
            search_subset(bank, networks, count, AMORTISED.max_images, TRAINING_SEED)
        )
    return bank.with_searched(subsets_of(folder.searched()))


def _stacks(
    pairs: list[tuple[LocalTopology, str]], size: int
) -> Iterator[tuple[list[LocalTopology], str]]:
    """Yield the topologies that are trained together, and their fidelity.

    Those that keep about as many filters: narrow ones are padded to the widest of their stack.
    """
    for fidelity in dict.fromkeys(fidelity for _, fidelity in pairs):
        topologies = _at(fidelity, pairs)
        if size > 1:
            topologies.sort(key=lambda topology: topology.kept_filters)
        for first in range(0, len(topologies), size):
            yield topologies[first : first + size], fidelity


def _at(fidelity: str, pairs: list[tuple[LocalTopology, str]]) -> list[LocalTopology]:
    return [topology for topology, wanted in pairs if wanted == fidelity]
